// Answers as bytes, framed as requests are (see actc_receiver), in the order of the requests.
//
// The header of an answer has the status in its two highest bits (0: outputs, 1: identity,
// 2: a broken frame came, no payload) and the sequence number of the request below.
module actc_frame_sender #(
  parameter [31:0] BYTES = 1,          // of the outputs, at least 1
  parameter [127:0] IDENTITY = 128'd0  // first byte lowest
) (
  input        clk,
  input        reset,
  input        header_valid,
  output       header_ready,  // everything moves in a clock with valid and ready
  input  [7:0] header,
  input        complete,      // the outputs of the next sample are there
  output reg   begin_next,    // they are begun; one clock
  output reg   body_next,     // a byte of them is taken, several clocks before the next one
  input  [7:0] body,
  output       valid,
  input        ready,
  output [7:0] data
);
  localparam [7:0] FLAG = 8'h7e, ESCAPE = 8'h7d;
  localparam WIDTH = BYTES > 16 ? $clog2(BYTES) : 4;
  localparam [WIDTH:0] IDENTITY_BYTES = {{WIDTH-4{1'b0}}, 5'd16};
  localparam [WIDTH-1:0] LAST_OF_IDENTITY = IDENTITY_BYTES[WIDTH-1:0] - 1'b1;
  localparam [WIDTH-1:0] LAST_OF_OUTPUTS = BYTES[WIDTH-1:0] - 1'b1;
  localparam [2:0] IDLE = 3'd0, OPEN = 3'd1, HEADER = 3'd2, BODY = 3'd3,
                   LOW = 3'd4, HIGH = 3'd5, CLOSE = 3'd6;

  reg [2:0] state = IDLE;
  reg start = 1'b0;                         // an answer begins
  reg [1:0] sent = 2'd0;                    // status of the answer that is being sent
  reg [WIDTH-1:0] index = {WIDTH{1'b0}};    // of the next byte
  reg [7:0] byte_now = 8'd0;                // without escape
  reg offered = 1'b0;                       // byte_now, or a flag, can be taken
  reg special = 1'b0;                       // it needs an escape
  reg escaped = 1'b0;                       // which is sent
  reg [15:0] check = 16'hffff;
  reg turning = 1'b0;                       // the check takes its bits
  reg [2:0] turned = 3'd0;                  // bits that it has taken

  wire framing = (state == OPEN) | (state == CLOSE);
  wire [7:0] inner = special ? (escaped ? byte_now ^ 8'h20 : ESCAPE) : byte_now;
  assign data = framing ? FLAG : inner;
  assign valid = offered;
  wire taken = offered & ready;
  wire done = taken & (~special | escaped);
  wire [WIDTH-1:0] last = sent[0] ? LAST_OF_IDENTITY : LAST_OF_OUTPUTS;

  // Known a clock or two after what they depend on, long before the next byte is taken.
  reg [7:0] next = 8'd0;
  reg wrap = 1'b0;   // next is the last byte of the body
  reg ended = 1'b0;  // behind this byte comes the check

  assign header_ready = start;
  initial begin_next = 1'b0;
  initial body_next = 1'b0;

  always @(posedge clk) begin
    begin_next <= start & (header[7:6] == 2'd0);
    start <= header_valid & (complete | (header[7:6] != 2'd0)) & (state == IDLE) & ~start;

    // The byte turns once round while the check takes its bits, then it is offered. The
    // header does so in front of the first flag.
    if (turning) begin
      turned <= turned + 1'b1;
      turning <= turned != 3'd7;
      byte_now <= {byte_now[0], byte_now[7:1]};
      check <= {1'b0, check[15:1]} ^ (check[0] ^ byte_now[0] ? 16'h8408 : 16'h0000);
    end else if (~offered) begin
      offered <= state != IDLE;
      special <= ~framing & ((byte_now == FLAG) | (byte_now == ESCAPE));
    end
    if (taken) escaped <= special & ~escaped;
    if (done) offered <= 1'b0;

    body_next <= 1'b0;
    next <= sent[0] ? IDENTITY[{index[3:0], 3'b000} +: 8] : body;
    wrap <= index == last;
    ended <= sent[1] | ((state == BODY) & (index == {WIDTH{1'b0}}));
    if (start) begin
      state <= OPEN;
      sent <= header[7:6];
      byte_now <= header;
      check <= 16'hffff;
      turning <= 1'b1;
      index <= {WIDTH{1'b0}};
    end else if (done) begin
      case (state)
        OPEN: state <= HEADER;
        HEADER, BODY:
          if (ended) begin
            state <= LOW;
            byte_now <= ~check[7:0];
          end else begin
            state <= BODY;
            byte_now <= next;
            body_next <= ~sent[0];
            turning <= 1'b1;
            // zero after the last one
            index <= wrap ? {WIDTH{1'b0}} : index + 1'b1;
          end
        LOW: begin
          state <= HIGH;
          byte_now <= ~check[15:8];
        end
        HIGH: state <= CLOSE;
        default: state <= IDLE;
      endcase
    end
    if (reset) begin
      start <= 1'b0;
      begin_next <= 1'b0;
      body_next <= 1'b0;
      offered <= 1'b0;
      state <= IDLE;
      turning <= 1'b0;
      turned <= 3'd0;
      escaped <= 1'b0;
    end
  end
endmodule
