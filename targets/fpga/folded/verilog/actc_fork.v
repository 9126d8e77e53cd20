// A stream for several readers, each of which takes every word once.
module actc_fork #(
  parameter COUNT = 2
) (
  input              clk,
  input              reset,
  input              in_valid,
  output             in_ready,
  output [COUNT-1:0] out_valid,
  input  [COUNT-1:0] out_ready
);
  reg [COUNT-1:0] taken = {COUNT{1'b0}};  // who has the present word
  wire [COUNT-1:0] done = taken | out_ready;
  assign out_valid = {COUNT{in_valid}} & ~taken;
  assign in_ready = &done;
  always @(posedge clk) begin
    if (in_valid) taken <= in_ready ? {COUNT{1'b0}} : done;
    if (reset) taken <= {COUNT{1'b0}};
  end
endmodule
