// The largest over the clocks of a group, one for each lane.
module actc_maxima #(
  parameter LANES = 1,
  parameter WIDTH = 8,
  parameter SIGNED = 0
) (
  input                    clk,
  input                    valid,
  input                    first,  // of a group
  input  [LANES*WIDTH-1:0] terms,
  output [LANES*WIDTH-1:0] totals  // the clock after the last term, until the next one
);
  localparam [WIDTH-1:0] SIGN = SIGNED != 0 ? {1'b1, {WIDTH-1{1'b0}}} : {WIDTH{1'b0}};
  genvar lane;
  generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
      reg [WIDTH-1:0] largest;
      wire [WIDTH-1:0] term = terms[lane*WIDTH +: WIDTH];
      // two's complement in the order of unsigned numbers
      wire larger = (term ^ SIGN) > (largest ^ SIGN);
      always @(posedge clk) if (valid & (first | larger)) largest <= term;
      assign totals[lane*WIDTH +: WIDTH] = largest;
    end
  endgenerate
endmodule
