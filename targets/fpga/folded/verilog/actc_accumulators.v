// Sums over the clocks of a group, one for each lane.
module actc_accumulators #(
  parameter LANES = 1,
  parameter IN = 8,    // bits of a term, signed
  parameter OUT = 16   // bits of a total, signed; IN at least
) (
  input                  clk,
  input                  valid,
  input                  first,  // of a group: the totals begin anew
  input   [LANES*IN-1:0] terms,
  output [LANES*OUT-1:0] totals  // the clock after the last term, until the next one
);
  genvar lane;
  generate
    for (lane = 0; lane < LANES; lane = lane + 1) begin : lanes
      reg [OUT-1:0] total;
      wire [IN-1:0] term = terms[lane*IN +: IN];
      wire [OUT-1:0] wide;
      if (OUT > IN) begin : extended
        assign wide = {{OUT-IN{term[IN-1]}}, term};
      end else begin : same
        assign wide = term[OUT-1:0];
      end
      always @(posedge clk) if (valid) total <= (first ? {OUT{1'b0}} : total) + wide;
      assign totals[lane*OUT +: OUT] = total;
    end
  endgenerate
endmodule
