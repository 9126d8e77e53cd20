// Bits some clocks later.
module actc_delay #(
  parameter WIDTH = 1,
  parameter [31:0] CLOCKS = 1  // 1 at least
) (
  input              clk,
  input              reset,
  input  [WIDTH-1:0] now,
  output [WIDTH-1:0] later
);
  reg [CLOCKS*WIDTH-1:0] bits = {CLOCKS*WIDTH{1'b0}};
  assign later = bits[CLOCKS*WIDTH-1 -: WIDTH];
  generate
    if (CLOCKS == 1) begin : one
      always @(posedge clk) bits <= reset ? {WIDTH{1'b0}} : now;
    end else begin : many
      always @(posedge clk)
        bits <= reset ? {CLOCKS*WIDTH{1'b0}} : {bits[(CLOCKS-1)*WIDTH-1:0], now};
    end
  endgenerate
endmodule
