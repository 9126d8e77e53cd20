// Serial transmitter: 8 data bits, no parity, 1 stop bit (8N1), lowest bit first.
module actc_uart_tx #(
  parameter [31:0] DIVISOR = 12  // clocks per bit
) (
  input        clk,
  input        reset,
  input        valid,
  output       ready,  // a byte is taken in a clock with valid and ready
  input  [7:0] data,
  output       tx
);
  localparam WIDTH = $clog2(DIVISOR);
  localparam [WIDTH-1:0] ZERO = {WIDTH{1'b0}};
  localparam [31:0] WHOLE = DIVISOR - 2;  // clocks before the last one of a bit

  reg [8:0] line = 9'h1ff;  // the lowest bit is on the wire; ones move in behind
  reg [3:0] left = 4'd0;    // bits that are not yet over
  reg [WIDTH-1:0] timer = ZERO;  // clocks of this bit that are over
  reg over = 1'b0;          // this is the last clock of the bit
  reg idle = 1'b1;          // left is 0
  assign ready = idle;
  assign tx = line[0];

  always @(posedge clk) begin
    timer <= timer + 1'b1;
    over <= timer == WHOLE[WIDTH-1:0];
    if (idle) begin
      timer <= ZERO;
      over <= 1'b0;
      if (valid) begin
        line <= {data, 1'b0};
        left <= 4'd10;
        idle <= 1'b0;
      end
    end else if (over) begin
      timer <= ZERO;
      line <= {1'b1, line[8:1]};
      left <= left - 1'b1;
      idle <= left == 4'd1;
    end
    if (reset) begin
      line <= 9'h1ff;
      left <= 4'd0;
      idle <= 1'b1;
    end
  end
endmodule
