// A long queue, in block memory. Two words stand in front of it, so that one is there in
// every clock although the memory answers a clock late.
module actc_queue #(
  parameter WIDTH = 8,
  parameter [31:0] DEPTH = 512,  // in the memory
  parameter BLOCK = 1,
  parameter LUTRAM = 0
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
  localparam AW = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam [31:0] C_LAST = DEPTH - 1;
  reg [AW-1:0] to = {AW{1'b0}};
  reg [AW-1:0] from = {AW{1'b0}};
  reg [AW:0] count = {AW+1{1'b0}};  // words in the memory
  reg coming = 1'b0;                // a word was asked for
  wire [WIDTH-1:0] word;
  wire front_ready, front_valid;
  wire write = in_valid & in_ready;
  // one may be on its way only if the front has room for it, too
  reg [1:0] promised = 2'd0;        // words on their way or in front
  wire leaves = front_valid & out_ready;
  wire fetch = (count != {AW+1{1'b0}}) & ((promised != 2'd2) | leaves);
  assign in_ready = count != DEPTH[AW:0];
  always @(posedge clk) begin
    if (write) to <= to == C_LAST[AW-1:0] ? {AW{1'b0}} : to + 1'b1;
    if (fetch) from <= from == C_LAST[AW-1:0] ? {AW{1'b0}} : from + 1'b1;
    if (write & ~fetch) count <= count + 1'b1;
    if (fetch & ~write) count <= count - 1'b1;
    if (fetch & ~leaves) promised <= promised + 1'b1;
    if (leaves & ~fetch) promised <= promised - 1'b1;
    coming <= fetch;
    if (reset) begin
      to <= {AW{1'b0}};
      from <= {AW{1'b0}};
      count <= {AW+1{1'b0}};
      promised <= 2'd0;
      coming <= 1'b0;
    end
  end
  actc_ring #(.WIDTH(WIDTH), .DEPTH(DEPTH), .BLOCK(BLOCK), .LUTRAM(LUTRAM)) memory (
    .clk(clk), .write(write), .to(to), .written(in_data), .from(from), .data(word)
  );
  actc_fifo #(.WIDTH(WIDTH), .DEPTH(2)) front (
    .clk(clk), .reset(reset), .in_valid(coming), .in_ready(front_ready), .in_data(word),
    .out_valid(front_valid), .out_ready(out_ready), .out_data(out_data)
  );
  assign out_valid = front_valid;
  wire unused = &{1'b0, front_ready};
endmodule
