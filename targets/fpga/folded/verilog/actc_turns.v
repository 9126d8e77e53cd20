// Whose turn it is to use what several windows share. It passes on in every clock in which its
// holder neither begins a group nor is in the middle of one. Who has had it for HOLD clocks
// begins no other group while somebody waits.
module actc_turns #(
  parameter COUNT = 2,         // 2 at least
  parameter [31:0] HOLD = 64,
  parameter HW = $clog2(HOLD + 1)
) (
  input              clk,
  input              reset,
  input  [COUNT-1:0] busy,   // a group begins or goes on: of one that has the turn
  input  [COUNT-1:0] wants,  // a group could begin, until it has
  output [COUNT-1:0] turn    // who may begin
);
  localparam [COUNT-1:0] FIRST = {{COUNT-1{1'b0}}, 1'b1};
  reg [COUNT-1:0] holder = FIRST;
  reg [HW-1:0] held = {HW{1'b0}};
  reg waiting = 1'b0;
  wire due = held == HOLD[HW-1:0];
  assign turn = holder & {COUNT{~(due & waiting)}};
  always @(posedge clk) begin
    waiting <= |(wants & ~holder);
    if (~|busy) begin
      holder <= {holder[COUNT-2:0], holder[COUNT-1]};
      held <= {HW{1'b0}};
    end else if (~due) held <= held + 1'b1;
    if (reset) begin
      holder <= FIRST;
      held <= {HW{1'b0}};
      waiting <= 1'b0;
    end
  end
endmodule
