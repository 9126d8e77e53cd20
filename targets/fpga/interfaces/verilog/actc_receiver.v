// Requests from bytes: frames as in RFC 1662 (PPP in HDLC-like framing).
//
//   flag, header, payload, check low, check high, flag
//
// A flag (7e) stands between frames and nowhere else: inside a frame, 7e and 7d are
// written as 7d and the byte with bit 5 inverted. So every flag begins anew, whatever was
// lost before it. Several flags in a row are as good as one. The check is CRC-16/X-25 over
// header and payload. The header has a command in its two highest bits (0: outputs for the
// inputs in the payload, 1: identify, without payload) and the sequence number of the
// request below.
module actc_receiver #(
  parameter [31:0] BYTES = 1  // of the payload, at least 1
) (
  input                    clk,
  input                    reset,
  input                    valid,   // a byte has come; at least 10 clocks before the next one
  input              [7:0] data,    // holds for two more clocks
  input                    busy,    // a request waits: frames that begin now are ignored
  output reg               request, // one clock at the end of each frame
  output reg         [1:0] status,  // then: 0 outputs, 1 identity, 2 the frame is broken
  output reg         [5:0] sequence_number,
  output reg [8*BYTES-1:0] payload  // first byte lowest; both hold while busy
);
  localparam [7:0] FLAG = 8'h7e, ESCAPE = 8'h7d;
  localparam WIDTH = $clog2(BYTES + 5);
  localparam [WIDTH-1:0] LAST = BYTES[WIDTH-1:0];
  localparam [WIDTH-1:0] SHORT = {{WIDTH-2{1'b0}}, 2'd3}, LONG = LAST + SHORT;

  reg [WIDTH-1:0] count = {WIDTH{1'b0}};  // bytes of the frame so far, one more than LONG at most
  reg taking = 1'b0;    // the next byte belongs to the payload
  reg take = 1'b0;      // rest is a byte of it
  reg ignore = 1'b0;
  reg escaped = 1'b0;
  reg seen = 1'b0;      // valid a clock later, when it is known whether data is
  reg flag = 1'b0;      // a flag
  reg escape = 1'b0;    // or the sign of an escape
  reg [1:0] command = 2'd0;
  reg [15:0] check = 16'hffff;
  reg [7:0] rest = 8'd0;  // bits that the check has not taken yet
  reg [3:0] left = 4'd0;  // their number
  initial request = 1'b0;
  initial status = 2'd0;
  initial sequence_number = 6'd0;
  initial payload = {BYTES{8'd0}};

  wire [7:0] plain = data ^ {2'b00, escaped, 5'b00000};
  wire [WIDTH-1:0] expected = command[0] ? SHORT : LONG;

  // Known a clock after count and check, long before the next byte.
  reg first = 1'b1;  // count is 0
  reg last = 1'b0;   // the next byte is the last one of the payload
  reg full = 1'b0;   // count is as far as it goes
  reg good = 1'b0;   // a flag ends a frame without error
  always @(posedge clk) begin
    first <= count == {WIDTH{1'b0}};
    last <= count == LAST;
    full <= count == LONG + 1'b1;
    // the remainder of a frame with its own check is always the same
    good <= (check == 16'hf0b8) & (count == expected) & ~command[1];

    request <= 1'b0;
    take <= 1'b0;
    if (take) begin
      payload <= payload >> 8;
      payload[8*BYTES-1 -: 8] <= rest;
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
        request <= ~first & ~ignore;
        status <= good ? command : 2'd2;
        count <= {WIDTH{1'b0}};
        taking <= 1'b0;
        ignore <= 1'b0;
        check <= 16'hffff;
      end else if (~escape) begin
        rest <= plain;
        left <= 4'd8;
        if (~full) count <= count + 1'b1;
        if (first) begin
          ignore <= busy;
          taking <= ~busy;
          if (~busy) {command, sequence_number} <= plain;
        end else if (taking) begin
          take <= 1'b1;
          if (last) taking <= 1'b0;
        end
      end
    end
    if (reset) begin
      count <= {WIDTH{1'b0}};
      request <= 1'b0;
      seen <= 1'b0;
    end
  end
endmodule
