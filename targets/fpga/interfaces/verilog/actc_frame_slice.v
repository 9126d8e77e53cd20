// A stream through registers: nothing passes from one side to the other in the same clock.
//
// Around a core this keeps its border in netlists: all that the core reads comes out of
// flip-flops, so synthesis cannot take logic from one side of the border to the other.
module actc_frame_slice #(
  parameter [31:0] BITS = 8
) (
  input                 clk,
  input                 reset,
  input                 in_valid,
  output reg            in_ready,
  input      [BITS-1:0] in_data,
  output reg            out_valid,
  input                 out_ready,
  output reg [BITS-1:0] out_data
);
  reg [BITS-1:0] aside = {BITS{1'b0}};  // came when the word before was not yet taken
  initial in_ready = 1'b0;
  initial out_valid = 1'b0;
  initial out_data = {BITS{1'b0}};
  reg full = 1'b0;                      // aside holds a word

  always @(posedge clk) begin
    if (out_ready | ~out_valid) begin
      out_valid <= full | (in_valid & in_ready);
      out_data <= full ? aside : in_data;
      full <= 1'b0;
      in_ready <= 1'b1;
    end else if (in_valid & in_ready) begin
      aside <= in_data;
      full <= 1'b1;
      in_ready <= 1'b0;
    end
    if (reset) begin
      in_ready <= 1'b0;
      out_valid <= 1'b0;
      full <= 1'b0;
    end
  end
endmodule
