// Requests to a core that takes its inputs word by word: frames (see actc_receiver), kept in
// a memory until the core takes them.
//
// A frame goes into the memory as it comes, and counts only when its end shows that it is
// whole: then a header and the payload are offered. Whatever else stood between two flags
// gives a header alone. The header has in its two highest bits what is to be answered
// (0: outputs for the payload behind it, 1: the identity, 2: that a frame was broken, or too
// long for the room there was), and the sequence number below. A frame that begins while
// there is no room even for a header is ignored.
module actc_frame_receiver #(
  parameter [31:0] BYTES = 1,   // of the payload, at least 1
  parameter [31:0] ADDRESS = 9  // the memory holds 2**ADDRESS bytes, more than BYTES
) (
  input        clk,
  input        reset,
  input        valid,  // a byte has come; at least 10 clocks before the next one
  input  [7:0] data,   // holds for two more clocks
  output       out_valid,
  input        out_ready,  // a byte is taken in a clock with valid and ready
  output [7:0] out_data
);
  localparam [7:0] FLAG = 8'h7e, ESCAPE = 8'h7d;
  localparam [1:0] OUTPUTS = 2'd0, BROKEN = 2'd2;
  localparam WIDTH = $clog2(BYTES + 5);
  localparam [WIDTH-1:0] LAST = BYTES[WIDTH-1:0];
  localparam [WIDTH-1:0] SHORT = {{WIDTH-2{1'b0}}, 2'd3}, LONG = LAST + SHORT;
  localparam [ADDRESS:0] ZERO = {ADDRESS + 1{1'b0}}, ONE = ZERO + 1'b1;

  reg [WIDTH-1:0] count = {WIDTH{1'b0}};  // bytes of the frame so far, one more than LONG at most
  reg taking = 1'b0;    // the next byte belongs to the payload
  reg take = 1'b0;      // rest is a byte of it
  reg ignore = 1'b0;
  reg lost = 1'b0;      // there was no room for a byte
  reg escaped = 1'b0;
  reg seen = 1'b0;      // valid a clock later, when it is known whether data is
  reg flag = 1'b0;      // a flag
  reg escape = 1'b0;    // or the sign of an escape
  reg ended = 1'b0;     // one clock at the end of each frame
  reg renew = 1'b0;     // the clock behind it
  reg [1:0] command = 2'd0;
  reg [1:0] status = 2'd0;
  reg [5:0] sequence_number = 6'd0;
  reg [15:0] check = 16'hffff;
  reg [7:0] rest = 8'd0;  // bits that the check has not taken yet
  reg [3:0] left = 4'd0;  // their number

  // The header of a frame is written last, in front of the payload.
  reg [ADDRESS:0] start = ZERO;  // place of the header; all before it counts
  reg [ADDRESS:0] place = ONE;   // of the next byte of the payload
  wire [ADDRESS:0] next = status == OUTPUTS ? place : start + 1'b1;
  wire [ADDRESS:0] unread;
  wire [ADDRESS:0] limit = {~unread[ADDRESS], unread[ADDRESS-1:0]};
  actc_frame_memory #(.ADDRESS(ADDRESS)) memory (
    .clk(clk), .reset(reset),
    .write((take & ~lost) | ended),
    .address(ended ? start[ADDRESS-1:0] : place[ADDRESS-1:0]),
    .value(ended ? {status, sequence_number} : rest),
    .limit(start), .place(unread), .valid(out_valid), .ready(out_ready), .data(out_data)
  );

  wire [7:0] plain = data ^ {2'b00, escaped, 5'b00000};
  wire [WIDTH-1:0] expected = command[0] ? SHORT : LONG;

  // Known a clock after what they depend on, long before the next byte.
  reg first = 1'b1;  // count is 0
  reg last = 1'b0;   // the next byte is the last one of the payload
  reg full = 1'b0;   // count is as far as it goes
  reg good = 1'b0;   // a flag ends a frame without error
  reg shut = 1'b0;   // there is no room for a header
  reg tight = 1'b0;  // there is no room for the next byte of the payload
  always @(posedge clk) begin
    first <= count == {WIDTH{1'b0}};
    last <= count == LAST;
    full <= count == LONG + 1'b1;
    // the remainder of a frame with its own check is always the same
    good <= (check == 16'hf0b8) & (count == expected) & ~command[1] & ~lost;
    shut <= start == limit;
    tight <= place == limit;

    ended <= 1'b0;
    take <= 1'b0;
    renew <= ended;
    if (ended) start <= next;
    if (renew) begin
      place <= start + 1'b1;
    end else if (take & ~lost) begin
      place <= place + 1'b1;
    end
    if (left != 4'd0) begin
      left <= left - 1'b1;
      rest <= {1'b0, rest[7:1]};
      check <= {1'b0, check[15:1]} ^ (check[0] ^ rest[0] ? 16'h8408 : 16'h0000);
    end
    seen <= valid;
    flag <= data == FLAG;
    escape <= data == ESCAPE;
    if (seen) begin
      escaped <= escape;
      if (flag) begin
        ended <= ~first & ~ignore;
        status <= good ? command : BROKEN;
        count <= {WIDTH{1'b0}};
        taking <= 1'b0;
        ignore <= 1'b0;
        lost <= 1'b0;
        check <= 16'hffff;
      end else if (~escape) begin
        rest <= plain;
        left <= 4'd8;
        if (~full) count <= count + 1'b1;
        if (first) begin
          ignore <= shut;
          taking <= ~shut;
          if (~shut) {command, sequence_number} <= plain;
        end else if (taking) begin
          take <= 1'b1;
          if (tight) lost <= 1'b1;
          if (last) taking <= 1'b0;
        end
      end
    end
    if (reset) begin
      count <= {WIDTH{1'b0}};
      ended <= 1'b0;
      renew <= 1'b0;
      seen <= 1'b0;
      taking <= 1'b0;
      take <= 1'b0;
      ignore <= 1'b0;
      lost <= 1'b0;
      start <= ZERO;
      place <= ONE;
    end
  end
endmodule
