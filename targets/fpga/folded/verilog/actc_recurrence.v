// The order of the steps of a recurrent layer.
//
// A sample begins with the first states, UNITS words that are loaded. In each step the matrix
// reads all states once for each block of its outputs; its totals wait in a queue outside.
// Elements take the totals in their order, one for each gate and unit, and give results some
// clocks later: those of the last gate are the new states. They begin when all other results
// of the step are there and the matrix has read the old states.
module actc_recurrence #(
  parameter [31:0] UNITS = 2,   // 2 at least
  parameter [31:0] GATES = 3,   // 2 at least
  parameter [31:0] BLOCKS = 1,  // of the matrix's outputs
  parameter [31:0] STEPS = 1,
  parameter EACH = 0,           // whether the states of each step leave, or of the last one
  parameter UW = $clog2(UNITS),
  parameter GW = $clog2(GATES)
) (
  input               clk,
  input               reset,
  input               credit,   // there is room for the states that leave,
  output              take,     // which is taken
  output              load,     // the first state of the next unit is asked for
  output reg          loaded,   // and is to be written a clock later
  output              read,     // the matrix asks for a state and for weights
  output reg          valid,    // these are there,
  output reg          first,    // those of the first unit,
  output reg          last,     // of the last one
  output     [UW-1:0] unit,     // whose state, and whose results of gates are asked for
  input               ready,    // an element's operands are there
  output              issue,    // and are taken
  output              newest,   // for a new state
  input               done,     // an element's result is there
  output     [UW-1:0] to,       // the unit that it, or a first state, is of
  output     [GW-1:0] gate,     // the gate that it is of
  output              write,    // it is a new state
  output              leave     // which leaves
);
  localparam BW = BLOCKS > 1 ? $clog2(BLOCKS) : 1;
  localparam TW = STEPS > 1 ? $clog2(STEPS) : 1;
  localparam [31:0] C_UNIT = UNITS - 1;
  localparam [31:0] C_GATE = GATES - 1;
  localparam [31:0] C_BLOCK = BLOCKS - 1;
  localparam [31:0] C_STEP = STEPS - 1;
  localparam [1:0] LOAD = 2'd0, BEGIN = 2'd1, MATRIX = 2'd2, FINISH = 2'd3;

  reg [1:0] phase = LOAD;
  reg [TW-1:0] step = {TW{1'b0}};
  wire last_step = step == C_STEP[TW-1:0];
  wire gives = (EACH != 0) | last_step;
  wire begins = (phase == BEGIN) & (~gives | credit);
  assign take = begins & gives;

  // The matrix: all units for each block. The first states are counted by the same.
  reg [UW-1:0] reader = {UW{1'b0}};
  reg [BW-1:0] block = {BW{1'b0}};
  wire last_reader = reader == C_UNIT[UW-1:0];
  wire last_block = block == C_BLOCK[BW-1:0];
  assign load = phase == LOAD;
  assign read = phase == MATRIX;
  always @(posedge clk) begin
    if (load | read) reader <= last_reader ? {UW{1'b0}} : reader + 1'b1;
    if (read & last_reader) block <= last_block ? {BW{1'b0}} : block + 1'b1;
    valid <= read;
    first <= reader == {UW{1'b0}};
    last <= last_reader;
    if (reset) begin
      reader <= {UW{1'b0}};
      block <= {BW{1'b0}};
      valid <= 1'b0;
    end
  end

  // Elements that are taken, in their order.
  reg [UW-1:0] taken = {UW{1'b0}};
  reg [GW-1:0] taken_gate = {GW{1'b0}};
  reg there = 1'b0;  // all results of other gates
  assign newest = taken_gate == C_GATE[GW-1:0];
  assign issue = ready & (~newest | (there & (phase == FINISH)));
  assign unit = phase == FINISH ? taken : reader;
  wire last_taken = taken == C_UNIT[UW-1:0];
  always @(posedge clk) begin
    if (issue) begin
      taken <= last_taken ? {UW{1'b0}} : taken + 1'b1;
      if (last_taken) taken_gate <= newest ? {GW{1'b0}} : taken_gate + 1'b1;
    end
    if (reset) begin
      taken <= {UW{1'b0}};
      taken_gate <= {GW{1'b0}};
    end
  end

  // Their results, in the same order.
  reg [UW-1:0] given = {UW{1'b0}};
  reg [GW-1:0] given_gate = {GW{1'b0}};
  wire last_given = given == C_UNIT[UW-1:0];
  wire new_state = given_gate == C_GATE[GW-1:0];
  wire over = done & last_given;
  wire step_over = over & new_state;
  reg [UW-1:0] loading = {UW{1'b0}};  // `reader` a clock ago
  assign to = loaded ? loading : given;
  assign gate = given_gate;
  assign write = done & new_state;
  assign leave = write & gives;
  always @(posedge clk) begin
    loaded <= load & ~reset;
    loading <= reader;
    if (done) given <= last_given ? {UW{1'b0}} : given + 1'b1;
    if (over) given_gate <= new_state ? {GW{1'b0}} : given_gate + 1'b1;
    if (over) there <= given_gate == C_GATE[GW-1:0] - 1'b1;
    if (reset) begin
      given <= {UW{1'b0}};
      given_gate <= {GW{1'b0}};
      there <= 1'b0;
    end
  end

  always @(posedge clk) begin
    case (phase)
      LOAD: if (last_reader) phase <= BEGIN;
      BEGIN: if (begins) phase <= MATRIX;
      MATRIX: if (last_reader & last_block) phase <= FINISH;
      default: if (step_over) phase <= last_step ? LOAD : BEGIN;
    endcase
    if (step_over) step <= last_step ? {TW{1'b0}} : step + 1'b1;
    if (reset) begin
      phase <= LOAD;
      step <= {TW{1'b0}};
    end
  end
endmodule
