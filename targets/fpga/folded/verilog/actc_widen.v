// COUNT words side by side, the first in the lowest bits.
module actc_widen #(
  parameter WIDTH = 8,
  parameter [31:0] COUNT = 2  // 2 at least
) (
  input                    clk,
  input                    reset,
  input                    in_valid,
  output                   in_ready,
  input        [WIDTH-1:0] in_data,
  output                   out_valid,
  input                    out_ready,
  output [COUNT*WIDTH-1:0] out_data
);
  localparam NW = $clog2(COUNT + 1);
  reg [COUNT*WIDTH-1:0] words = {COUNT*WIDTH{1'b0}};
  reg [NW-1:0] count = {NW{1'b0}};
  assign out_valid = count == COUNT[NW-1:0];
  assign out_data = words;
  assign in_ready = ~out_valid | out_ready;
  always @(posedge clk) begin
    if (in_valid & in_ready) words <= {in_data, words[COUNT*WIDTH-1:WIDTH]};
    if (in_valid & in_ready) count <= out_valid ? {{NW-1{1'b0}}, 1'b1} : count + 1'b1;
    else if (out_valid & out_ready) count <= {NW{1'b0}};
    if (reset) count <= {NW{1'b0}};
  end
endmodule
