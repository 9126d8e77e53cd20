// A memory of bytes, the middle of a queue: one port writes anywhere, the other one offers
// what lies before `limit`, byte after byte, round and round.
module actc_frame_memory #(
  parameter [31:0] ADDRESS = 9  // bits of an address: it holds 2**ADDRESS bytes
) (
  input                  clk,
  input                  reset,
  input                  write,
  input    [ADDRESS-1:0] address,
  input            [7:0] value,
  input      [ADDRESS:0] limit,  // of what may be read; the highest bit tells rounds apart
  output reg [ADDRESS:0] place,  // of what is read next; all before it may be written over
  output reg             valid,
  input                  ready,  // a byte is taken in a clock with valid and ready
  output reg       [7:0] data
);
  // What is written is read later, never in the same clock. Block memories are slow: behind
  // the one that they have, there is another register.
  reg [7:0] found;
  reg there = 1'b0;  // found is a byte
  reg more = 1'b0;   // there is a byte to read; known a clock later: one in two clocks
  initial place = {ADDRESS + 1{1'b0}};
  initial valid = 1'b0;
  initial data = 8'd0;

  wire move = ~valid | ready;
  wire fetch = more & (~there | move);
  generate
    if (ADDRESS >= 7) begin : block
      (* ram_style = "block", no_rw_check *) reg [7:0] bytes [0:(1 << ADDRESS) - 1];
      always @(posedge clk) begin
        if (write) bytes[address] <= value;
        if (fetch) found <= bytes[place[ADDRESS-1:0]];
      end
    end else begin : flip_flops
      reg [7:0] bytes [0:(1 << ADDRESS) - 1];
      always @(posedge clk) begin
        if (write) bytes[address] <= value;
        if (fetch) found <= bytes[place[ADDRESS-1:0]];
      end
    end
  endgenerate
  always @(posedge clk) begin
    more <= (place != limit) & ~fetch;
    if (fetch) place <= place + 1'b1;
    there <= fetch | (there & ~move);
    if (move) begin
      valid <= there;
      data <= found;
    end
    if (reset) begin
      place <= {ADDRESS + 1{1'b0}};
      there <= 1'b0;
      more <= 1'b0;
      valid <= 1'b0;
    end
  end
endmodule
