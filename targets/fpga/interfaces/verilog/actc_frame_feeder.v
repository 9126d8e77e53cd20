// What actc_frame_receiver offers, sorted: headers go to the answers, payloads to the core.
//
// A payload holds the words of a sample, one behind the other, the first in the lowest bits
// of its first byte; what its last byte has beyond them is dropped.
module actc_frame_feeder #(
  parameter [31:0] BYTES = 1,  // of a payload
  parameter [31:0] IN = 8,     // bits of a word
  parameter [31:0] BITS = 8    // of the last byte that belong to words, 1 to 8
) (
  input               clk,
  input               reset,
  input               valid,
  output              ready,  // everything moves in a clock with valid and ready
  input         [7:0] data,
  output              header_valid,
  input               header_ready,
  output        [7:0] header,
  output              word_valid,
  input               word_ready,
  output reg [IN-1:0] word
);
  // A piece is what bytes and words are made of; one moves in a clock.
  localparam [31:0] PIECE = IN % 8 == 0 ? 8 : IN % 4 == 0 ? 4 : IN % 2 == 0 ? 2 : 1;
  localparam [31:0] PIECES = IN / PIECE, WHOLE = 8 / PIECE, PART = BITS / PIECE;
  localparam FILLED = $clog2(PIECES + 1);
  localparam LEFT = $clog2(BYTES + 1);
  localparam [31:0] TWO = 2;

  reg [LEFT-1:0] left = {LEFT{1'b0}};        // bytes of this payload that have not come
  reg feeding = 1'b0;                        // left is not 0
  reg final_byte = 1'b0;                     // left is 1
  reg [7:0] rest = 8'd0;                     // pieces that are not in the word
  reg [3:0] pieces = 4'd0;                   // their number
  reg [FILLED-1:0] filled = {FILLED{1'b0}};  // pieces of the word
  initial word = {IN{1'b0}};

  wire free = pieces == 4'd0;
  assign header_valid = valid & ~feeding;
  assign header = data;
  assign ready = feeding ? free : header_ready;
  assign word_valid = filled == PIECES[FILLED-1:0];

  wire move = ~free & (~word_valid | word_ready);

  always @(posedge clk) begin
    if (valid & ready) begin
      if (feeding) begin
        rest <= data;
        pieces <= final_byte ? PART[3:0] : WHOLE[3:0];
        left <= left - 1'b1;
        feeding <= ~final_byte;
        final_byte <= left == TWO[LEFT-1:0];
      end else if (data[7:6] == 2'd0) begin
        left <= BYTES[LEFT-1:0];
        feeding <= 1'b1;
        final_byte <= BYTES == 32'd1;
      end
    end
    if (word_valid & word_ready) filled <= {FILLED{1'b0}};
    if (move) begin
      word <= word >> PIECE;
      word[IN-1 -: PIECE] <= rest[PIECE-1:0];
      rest <= rest >> PIECE;
      pieces <= pieces - 1'b1;
      filled <= word_valid ? {{FILLED-1{1'b0}}, 1'b1} : filled + 1'b1;
    end
    if (reset) begin
      feeding <= 1'b0;
      pieces <= 4'd0;
      filled <= {FILLED{1'b0}};
    end
  end
endmodule
