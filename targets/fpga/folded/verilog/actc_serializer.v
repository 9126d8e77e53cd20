// COUNT words that come at once, one after the other. The next ones come COUNT clocks later
// at the earliest.
module actc_serializer #(
  parameter WIDTH = 8,
  parameter [31:0] COUNT = 2
) (
  input                    clk,
  input                    reset,
  input                    load,
  input  [COUNT*WIDTH-1:0] words,
  output                   valid,
  output       [WIDTH-1:0] word
);
  generate
    if (COUNT == 1) begin : single
      assign valid = load;
      assign word = words;
      wire unused = &{1'b0, clk, reset};
    end else begin : many
      // the first one passes at once
      localparam NW = $clog2(COUNT);
      localparam [31:0] C_LEFT = COUNT - 1;
      reg [(COUNT-1)*WIDTH-1:0] rest = {(COUNT-1)*WIDTH{1'b0}};
      reg [NW-1:0] left = {NW{1'b0}};
      assign valid = load | (left != {NW{1'b0}});
      assign word = load ? words[WIDTH-1:0] : rest[WIDTH-1:0];
      always @(posedge clk) begin
        if (load) begin
          rest <= words[COUNT*WIDTH-1:WIDTH];
          left <= C_LEFT[NW-1:0];
        end else begin
          rest <= rest >> WIDTH;
          if (left != {NW{1'b0}}) left <= left - 1'b1;
        end
        if (reset) left <= {NW{1'b0}};
      end
    end
  endgenerate
endmodule
