// Answers as bytes, framed as requests are (see actc_receiver).
//
// The header of an answer has the status in its two highest bits (0: outputs, 1: identity,
// 2: a broken frame came, no payload) and the sequence number of the request below. One
// answer is being sent while another request waits.
module actc_sender #(
  parameter [31:0] BYTES = 1,    // of the outputs, at least 1
  parameter [31:0] LATENCY = 0,  // clocks from the inputs to the outputs
  parameter [127:0] IDENTITY = 128'd0  // first byte lowest
) (
  input                clk,
  input                reset,
  input                request,
  input          [1:0] status,
  input          [5:0] sequence_number,  // holds while busy
  input  [8*BYTES-1:0] outputs,
  output               busy,   // a request waits
  output               valid,
  input                ready,  // a byte is taken in a clock with valid and ready
  output         [7:0] data
);
  localparam [7:0] FLAG = 8'h7e, ESCAPE = 8'h7d;
  localparam WAIT = $clog2(LATENCY + 2);
  localparam WIDTH = BYTES > 16 ? $clog2(BYTES) : 4;
  localparam [WIDTH:0] IDENTITY_BYTES = {{WIDTH-4{1'b0}}, 5'd16};
  localparam [WIDTH-1:0] LAST_OF_IDENTITY = IDENTITY_BYTES[WIDTH-1:0] - 1'b1;
  localparam [WIDTH-1:0] LAST_OF_OUTPUTS = BYTES[WIDTH-1:0] - 1'b1;
  localparam [2:0] IDLE = 3'd0, OPEN = 3'd1, HEADER = 3'd2, BODY = 3'd3,
                   LOW = 3'd4, HIGH = 3'd5, CLOSE = 3'd6;

  // A request waits for its outputs, and for the answer before its own to be sent.
  reg waiting = 1'b0;
  reg start = 1'b0;    // the outputs are there, and no answer is being sent
  reg [1:0] kind = 2'd0;
  reg [WAIT-1:0] clocks = {WAIT{1'b0}};
  assign busy = waiting | request;

  reg [2:0] state = IDLE;
  reg [1:0] sent = 2'd0;                    // status of the answer that is being sent
  reg [8*BYTES-1:0] body = {BYTES{8'd0}};   // next byte lowest
  reg move = 1'b0;                          // it loses the byte that was taken from it
  reg [WIDTH-1:0] index = {WIDTH{1'b0}};    // of the next byte
  reg [7:0] byte_now = 8'd0;                // without escape
  reg offered = 1'b0;                       // byte_now, or a flag, can be taken
  reg special = 1'b0;                       // it needs an escape
  reg escaped = 1'b0;                       // which is sent
  reg [15:0] check = 16'hffff;
  reg turning = 1'b0;                       // the check takes its bits
  reg [2:0] turned = 3'd0;                  // bits that it has taken

  wire framing = (state == OPEN) | (state == CLOSE);
  wire [7:0] inner = special ? (escaped ? byte_now ^ 8'h20 : ESCAPE) : byte_now;
  assign data = framing ? FLAG : inner;
  assign valid = offered;
  wire taken = offered & ready;
  wire done = taken & (~special | escaped);
  wire [WIDTH-1:0] last = sent[0] ? LAST_OF_IDENTITY : LAST_OF_OUTPUTS;

  // Known a clock or two after what they depend on, long before the next byte is taken.
  reg [7:0] next = 8'd0;
  reg wrap = 1'b0;   // next is the last byte of the body
  reg ended = 1'b0;  // behind this byte comes the check

  always @(posedge clk) begin
    if (request) begin
      waiting <= 1'b1;
      kind <= status;
      clocks <= LATENCY[WAIT-1:0];
    end else begin
      if (clocks != {WAIT{1'b0}}) clocks <= clocks - 1'b1;
      if (start) waiting <= 1'b0;
    end
    start <= waiting & (clocks == {WAIT{1'b0}}) & (state == IDLE) & ~start;

    // The byte turns once round while the check takes its bits, then it is offered. The
    // header does so in front of the first flag.
    if (turning) begin
      turned <= turned + 1'b1;
      turning <= turned != 3'd7;
      byte_now <= {byte_now[0], byte_now[7:1]};
      check <= {1'b0, check[15:1]} ^ (check[0] ^ byte_now[0] ? 16'h8408 : 16'h0000);
    end else if (~offered) begin
      offered <= state != IDLE;
      special <= ~framing & ((byte_now == FLAG) | (byte_now == ESCAPE));
    end
    if (taken) escaped <= special & ~escaped;
    if (done) offered <= 1'b0;

    next <= sent[0] ? IDENTITY[{index[3:0], 3'b000} +: 8] : body[7:0];
    wrap <= index == last;
    ended <= sent[1] | ((state == BODY) & (index == {WIDTH{1'b0}}));
    move <= 1'b0;
    if (start) body <= outputs;
    else if (move) body <= body >> 8;
    if (start) begin
      state <= OPEN;
      sent <= kind;
      byte_now <= {kind, sequence_number};
      check <= 16'hffff;
      turning <= 1'b1;
      index <= {WIDTH{1'b0}};
    end else if (done) begin
      case (state)
        OPEN: state <= HEADER;
        HEADER, BODY:
          if (ended) begin
            state <= LOW;
            byte_now <= ~check[7:0];
          end else begin
            state <= BODY;
            byte_now <= next;
            turning <= 1'b1;
            move <= 1'b1;
            // zero after the last one
            index <= wrap ? {WIDTH{1'b0}} : index + 1'b1;
          end
        LOW: begin
          state <= HIGH;
          byte_now <= ~check[15:8];
        end
        HIGH: state <= CLOSE;
        default: state <= IDLE;
      endcase
    end
    if (reset) begin
      waiting <= 1'b0;
      start <= 1'b0;
      offered <= 1'b0;
      state <= IDLE;
      turning <= 1'b0;
      turned <= 3'd0;
    end
  end
endmodule
