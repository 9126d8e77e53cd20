// A memory with one port to write and one to read, a clock later. What is read while it is
// written is not said.
module actc_ring #(
  parameter WIDTH = 8,
  parameter [31:0] DEPTH = 2,
  parameter BLOCK = 1,   // whether it is in block memory,
  parameter LUTRAM = 0,  // or in small memories among the logic; else in flip-flops
  parameter AW = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
  input                  clk,
  input                  write,
  input         [AW-1:0] to,
  input      [WIDTH-1:0] written,
  input         [AW-1:0] from,
  output reg [WIDTH-1:0] data
);
  generate
    if (BLOCK != 0) begin : block
      (* ram_style = "block", no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
      always @(posedge clk) begin
        if (write) words[to] <= written;
        data <= words[from];
      end
    end else if (LUTRAM != 0) begin : lutram
      (* ram_style = "distributed", no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
      always @(posedge clk) begin
        if (write) words[to] <= written;
        data <= words[from];
      end
    end else begin : flip_flops
      (* ram_style = "logic" *) reg [WIDTH-1:0] words [0:DEPTH-1];
      always @(posedge clk) begin
        if (write) words[to] <= written;
        data <= words[from];
      end
    end
  endgenerate
endmodule
