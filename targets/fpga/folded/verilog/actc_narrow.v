// A word in COUNT parts, the lowest bits first.
module actc_narrow #(
  parameter WIDTH = 8,        // of a part
  parameter [31:0] COUNT = 2  // 2 at least
) (
  input                    clk,
  input                    reset,
  input                    in_valid,
  output                   in_ready,
  input  [COUNT*WIDTH-1:0] in_data,
  output                   out_valid,
  input                    out_ready,
  output       [WIDTH-1:0] out_data
);
  localparam NW = $clog2(COUNT + 1);
  localparam [NW-1:0] ONE = {{NW-1{1'b0}}, 1'b1};
  reg [COUNT*WIDTH-1:0] words = {COUNT*WIDTH{1'b0}};
  reg [NW-1:0] count = {NW{1'b0}};
  assign out_valid = count != {NW{1'b0}};
  assign out_data = words[WIDTH-1:0];
  assign in_ready = ~out_valid | (out_ready & (count == ONE));
  always @(posedge clk) begin
    if (in_valid & in_ready) begin
      words <= in_data;
      count <= COUNT[NW-1:0];
    end else if (out_valid & out_ready) begin
      words <= words >> WIDTH;
      count <= count - 1'b1;
    end
    if (reset) count <= {NW{1'b0}};
  end
endmodule
