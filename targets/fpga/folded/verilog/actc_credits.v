// Room in a queue of ROOM words that is taken by groups of GROUP words before they are made.
module actc_credits #(
  parameter [31:0] ROOM = 16,
  parameter [31:0] GROUP = 1
) (
  input  clk,
  input  reset,
  input  take,   // a group's room is taken; only with credit
  input  leave,  // a word left the queue
  output credit  // there is room for a group
);
  localparam W = $clog2(ROOM + 1);
  reg [W-1:0] free = ROOM[W-1:0];
  assign credit = free >= GROUP[W-1:0];
  always @(posedge clk) begin
    free <= free - (take ? GROUP[W-1:0] : {W{1'b0}}) + {{W-1{1'b0}}, leave};
    if (reset) free <= ROOM[W-1:0];
  end
endmodule
