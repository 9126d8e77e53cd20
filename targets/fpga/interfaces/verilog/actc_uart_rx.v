// Serial receiver: 8 data bits, no parity, 1 stop bit (8N1), lowest bit first.
//
// Each bit is looked at in its middle. Pulses of one clock are filtered out, start bits
// shorter than half a bit are taken for noise, bytes without a stop bit are dropped.
module actc_uart_rx #(
  parameter [31:0] DIVISOR = 12  // clocks per bit, at least 8
) (
  input            clk,
  input            reset,
  input            rx,
  output reg       valid,  // one clock for each byte
  output reg [7:0] data    // holds until the next byte begins
);
  localparam WIDTH = $clog2(DIVISOR);
  localparam [WIDTH-1:0] ZERO = {WIDTH{1'b0}};
  localparam [31:0] WHOLE = DIVISOR - 2, HALF = DIVISOR / 2 - 2;  // clocks before the last one
  localparam [3:0] IDLE = 4'd0, START = 4'd1, STOP = 4'd10;

  // Two flip-flops against metastability, two more for the majority of three samples.
  reg [3:0] samples = 4'b1111;
  wire line = (samples[1] & samples[2]) | (samples[1] & samples[3]) | (samples[2] & samples[3]);
  reg previous = 1'b1;
  reg [3:0] place = IDLE;
  reg [WIDTH-1:0] timer = ZERO;  // clocks that are over since the middle of the bit before
  reg over = 1'b0;               // this is the last clock up to the middle of a bit
  initial valid = 1'b0;
  initial data = 8'd0;

  always @(posedge clk) begin
    samples <= {samples[2:0], rx};
    previous <= line;
    valid <= 1'b0;
    timer <= timer + 1'b1;
    over <= timer == (place == START ? HALF[WIDTH-1:0] : WHOLE[WIDTH-1:0]);
    if (place == IDLE) begin
      timer <= ZERO;
      over <= 1'b0;
      if (previous & ~line) place <= START;
    end else if (over) begin
      timer <= ZERO;
      place <= place + 1'b1;
      if (place == STOP) begin
        valid <= line;
        place <= IDLE;
      end else if (place == START) begin
        if (line) place <= IDLE;
      end else begin
        data <= {line, data[7:1]};
      end
    end
    if (reset) place <= IDLE;
  end
endmodule
