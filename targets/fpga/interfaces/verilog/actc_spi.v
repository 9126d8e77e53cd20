// SPI peripheral, mode 0, highest bit first, sampled by clk: sck may be up to clk / 4.
//
// Bytes travel both ways at once. Where there is nothing to say, miso gives flags, which
// mean nothing between frames. A rising cs_n ends a byte before its time.
module actc_spi (
  input            clk,
  input            reset,
  input            sck,
  input            cs_n,
  input            mosi,
  output           miso,
  output reg       rx_valid,  // one clock for each byte
  output reg [7:0] rx_data,
  output           tx_ready,  // a byte is taken in a clock with tx_valid and tx_ready
  input            tx_valid,
  input      [7:0] tx_data
);
  localparam [7:0] FLAG = 8'h7e;

  // Two flip-flops against metastability; the third of sck finds its edges.
  reg [2:0] clocks = 3'b000;
  reg [1:0] selects = 2'b11;
  reg [1:0] bits = 2'b00;
  wire rise = clocks[1] & ~clocks[2] & ~selects[1];
  reg [2:0] place = 3'd0;
  reg last = 1'b0;  // place is 7; known a clock later, before sck rises again
  reg [7:0] line = FLAG;
  initial rx_valid = 1'b0;
  initial rx_data = 8'd0;

  // The controller looks at miso when sck rises, so miso may change as soon as that is
  // seen here, 2 to 3 clocks later: half a period earlier than at the falling edge.
  assign miso = line[7];
  assign tx_ready = rise & last;

  always @(posedge clk) begin
    clocks <= {clocks[1:0], sck};
    selects <= {selects[0], cs_n};
    bits <= {bits[0], mosi};
    rx_valid <= tx_ready;
    last <= place == 3'd7;
    if (selects[1]) begin
      place <= 3'd0;
      if (place != 3'd0) line <= FLAG;
    end else if (rise) begin
      place <= place + 1'b1;
      rx_data <= {rx_data[6:0], bits[1]};
      line <= {line[6:0], 1'b0};
      if (tx_ready) line <= tx_valid ? tx_data : FLAG;
    end
    if (reset) begin
      place <= 3'd0;
      line <= FLAG;
    end
  end
endmodule
