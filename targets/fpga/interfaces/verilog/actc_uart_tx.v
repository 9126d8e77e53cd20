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
  localparam [WIDTH-1:0] LAST = DIVISOR[WIDTH-1:0] - 1'b1;

  reg [8:0] line = 9'h1ff;  // the lowest bit is on the wire; ones move in behind
  reg [3:0] left = 4'd0;    // bits that are not yet over
  reg [WIDTH-1:0] timer = {WIDTH{1'b0}};
  assign ready = left == 4'd0;
  assign tx = line[0];

  always @(posedge clk) begin
    timer <= timer - 1'b1;
    if (ready) begin
      timer <= LAST;
      if (valid) begin
        line <= {data, 1'b0};
        left <= 4'd10;
      end
    end else if (timer == {WIDTH{1'b0}}) begin
      timer <= LAST;
      line <= {1'b1, line[8:1]};
      left <= left - 1'b1;
    end
    if (reset) begin
      line <= 9'h1ff;
      left <= 4'd0;
    end
  end
endmodule
