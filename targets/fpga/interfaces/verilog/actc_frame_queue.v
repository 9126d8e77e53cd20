// Headers of answers that are still to be made, in the order of the requests.
module actc_frame_queue #(
  parameter [31:0] ADDRESS = 3  // it holds 2**ADDRESS of them
) (
  input        clk,
  input        reset,
  input        in_valid,
  output       in_ready,  // a header moves in a clock with valid and ready
  input  [7:0] in_data,
  output       out_valid,
  input        out_ready,
  output [7:0] out_data
);
  reg [7:0] headers [0:(1 << ADDRESS) - 1];
  reg [ADDRESS:0] first = {ADDRESS + 1{1'b0}};  // the highest bit tells rounds apart
  reg [ADDRESS:0] behind = {ADDRESS + 1{1'b0}};
  reg room = 1'b0;  // for one more; known a clock later, so there is a pause behind each

  assign out_valid = first != behind;
  assign in_ready = room;
  assign out_data = headers[first[ADDRESS-1:0]];

  always @(posedge clk) if (in_valid & in_ready) headers[behind[ADDRESS-1:0]] <= in_data;
  always @(posedge clk) begin
    room <= (behind != {~first[ADDRESS], first[ADDRESS-1:0]}) & ~(in_valid & in_ready);
    if (in_valid & in_ready) behind <= behind + 1'b1;
    if (out_valid & out_ready) first <= first + 1'b1;
    if (reset) begin
      first <= {ADDRESS + 1{1'b0}};
      behind <= {ADDRESS + 1{1'b0}};
    end
  end
endmodule
