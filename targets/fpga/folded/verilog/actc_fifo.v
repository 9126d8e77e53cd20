// A short queue. A word shows at the output the clock after it came.
module actc_fifo #(
  parameter WIDTH = 8,
  parameter [31:0] DEPTH = 2,
  parameter LUTRAM = 0,  // whether small memories among the logic hold it, or flip-flops
  parameter AW = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
  input              clk,
  input              reset,
  input              in_valid,
  output             in_ready,
  input  [WIDTH-1:0] in_data,
  output             out_valid,
  input              out_ready,
  output [WIDTH-1:0] out_data
);
  localparam [31:0] C_LAST = DEPTH - 1;
  reg [AW-1:0] to = {AW{1'b0}};
  reg [AW-1:0] from = {AW{1'b0}};
  reg [AW:0] count = {AW+1{1'b0}};
  wire write = in_valid & in_ready;
  wire read = out_valid & out_ready;
  assign in_ready = count != DEPTH[AW:0];
  assign out_valid = count != {AW+1{1'b0}};
  generate
    if (LUTRAM != 0) begin : lutram
      (* ram_style = "distributed", no_rw_check *) reg [WIDTH-1:0] words [0:DEPTH-1];
      always @(posedge clk) if (write) words[to] <= in_data;
      assign out_data = words[from];
    end else begin : flip_flops
      (* ram_style = "logic" *) reg [WIDTH-1:0] words [0:DEPTH-1];
      always @(posedge clk) if (write) words[to] <= in_data;
      assign out_data = words[from];
    end
  endgenerate
  always @(posedge clk) begin
    if (write) to <= to == C_LAST[AW-1:0] ? {AW{1'b0}} : to + 1'b1;
    if (read) from <= from == C_LAST[AW-1:0] ? {AW{1'b0}} : from + 1'b1;
    if (write & ~read) count <= count + 1'b1;
    if (read & ~write) count <= count - 1'b1;
    if (reset) begin
      to <= {AW{1'b0}};
      from <= {AW{1'b0}};
      count <= {AW+1{1'b0}};
    end
  end
endmodule
