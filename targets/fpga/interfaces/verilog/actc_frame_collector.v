// Words of a core as the bytes of answers, which are offered when an answer is complete: a
// frame must not pause, as SPI has nothing to fill it with.
//
// The words of a sample lie one behind the other, the first in the lowest bits of the first
// byte; the last byte is filled with zeros. Where the memory is full, the core waits.
module actc_frame_collector #(
  parameter [31:0] BYTES = 1,    // of an answer
  parameter [31:0] OUT = 8,      // bits of a word
  parameter [31:0] BITS = 8,     // of the last byte that belong to words, 1 to 8
  parameter [31:0] ADDRESS = 4   // the memory holds 2**ADDRESS bytes, at least BYTES
) (
  input            clk,
  input            reset,
  input            word_valid,
  output           word_ready,  // everything moves in a clock with valid and ready
  input  [OUT-1:0] word,
  output reg       complete,    // a whole answer that is not begun is there
  input            begin_next,  // it is begun; one clock, several before the next one
  input            next,        // the byte is taken; several clocks before the next one
  output     [7:0] data
);
  // A piece is what bytes and words are made of; one moves in a clock.
  localparam [31:0] PIECE = OUT % 8 == 0 ? 8 : OUT % 4 == 0 ? 4 : OUT % 2 == 0 ? 2 : 1;
  localparam [31:0] PIECES = OUT / PIECE, WHOLE = 8 / PIECE, PART = BITS / PIECE;
  localparam [31:0] LAST = BYTES - 1;
  localparam COUNT = $clog2(PIECES + 1);
  localparam INDEX = BYTES > 1 ? $clog2(BYTES) : 1;
  // the memory and the registers behind it hold so many complete ones
  localparam STORED = $clog2(((1 << ADDRESS) + 2) / BYTES + 2);
  localparam [ADDRESS:0] ZERO = {ADDRESS + 1{1'b0}};

  reg [OUT-1:0] rest = {OUT{1'b0}};       // pieces that are in no byte
  reg [COUNT-1:0] left = {COUNT{1'b0}};   // their number
  reg [7:0] part = 8'd0;                  // of a byte, at its upper end
  reg [3:0] filled = 4'd0;                // pieces in it
  reg [INDEX-1:0] index = {INDEX{1'b0}};  // of that byte
  reg [ADDRESS:0] place = ZERO;           // where it will be written
  reg [STORED-1:0] answers = {STORED{1'b0}};  // that are complete and not begun
  reg room = 1'b0;      // for a byte; known a clock later, when the next one is not yet full
  reg finished = 1'b0;  // an answer became complete

  wire final_byte = index == LAST[INDEX-1:0];
  wire full_byte = filled == (final_byte ? PART[3:0] : WHOLE[3:0]);
  wire [ADDRESS:0] unread;
  wire unused;  // a complete answer has bytes
  wire write = full_byte & room;
  actc_frame_memory #(.ADDRESS(ADDRESS)) memory (
    .clk(clk), .reset(reset),
    .write(write), .address(place[ADDRESS-1:0]),
    .value(final_byte ? part >> (8 - BITS) : part),
    .limit(place), .place(unread), .valid(unused), .ready(next), .data(data)
  );

  wire empty = left == {COUNT{1'b0}};
  wire move = ~empty & ~full_byte;
  assign word_ready = empty;
  initial complete = 1'b0;

  always @(posedge clk) begin
    if (word_valid & word_ready) begin
      rest <= word;
      left <= PIECES[COUNT-1:0];
    end
    if (move) begin
      part <= part >> PIECE;
      part[7 -: PIECE] <= rest[PIECE-1:0];
      rest <= rest >> PIECE;
      left <= left - 1'b1;
      filled <= filled + 1'b1;
    end
    if (write) begin
      filled <= 4'd0;
      place <= place + 1'b1;
      index <= final_byte ? {INDEX{1'b0}} : index + 1'b1;
    end
    room <= place != {~unread[ADDRESS], unread[ADDRESS-1:0]};
    finished <= write & final_byte;
    if (finished & ~begin_next) answers <= answers + 1'b1;
    if (begin_next & ~finished) answers <= answers - 1'b1;
    complete <= (answers != {STORED{1'b0}}) & ~begin_next;
    if (reset) begin
      left <= {COUNT{1'b0}};
      filled <= 4'd0;
      index <= {INDEX{1'b0}};
      place <= ZERO;
      finished <= 1'b0;
      answers <= {STORED{1'b0}};
      complete <= 1'b0;
    end
  end
endmodule
