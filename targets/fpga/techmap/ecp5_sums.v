// Sums as carry chains of ECP5 that start inside a CCU2C.
//
// A CCU2C is two places of a chain: the sum is LUT4(A, B, C, D) xor carry; the carry goes
// on where that LUT4 is 1 and is otherwise LUT2(A, B), the low four bits of INIT. A carry in
// that is a constant or a signal costs nextpnr a whole CCU2C in front of the chain. Here the
// first place makes the carry itself, with its LUT4 at 0, whatever stands at CIN:
//
//   odd width:  it gives the constant 0 or 1 to place 0 of the sum;
//   even width: it gives the carry out of place 0, whose sum is one look-up table;
//   odd width, a carry below the sum (place 0 has a constant operand, and nobody reads its
//   sum): as even, and the last sum is a look-up table of the bits and the sum below it.
//
// The second operand is inverted in INIT where a sum subtracts. Run it on $add and $sub
// before synth_ecp5, and sums.v behind it for what is shorter.

(* techmap_celltype = "$add $sub" *)
module _70_actc_ecp5_sum (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CELLTYPE_ = "";
  parameter [A_WIDTH-1:0] _TECHMAP_CONSTMSK_A_ = 0;
  parameter [A_WIDTH-1:0] _TECHMAP_CONSTVAL_A_ = 0;
  (* force_downto *)
  input [A_WIDTH-1:0] A;
  (* force_downto *)
  input [B_WIDTH-1:0] B;
  (* force_downto *)
  output [Y_WIDTH-1:0] Y;

  // look-up tables are as good where at most two bits, or two and a carry, meet
  wire _TECHMAP_FAIL_ = Y_WIDTH <= 2 || (Y_WIDTH == 3 && (A_WIDTH < 3 || B_WIDTH < 3));

  localparam SUBTRACT = _TECHMAP_CELLTYPE_ == "$sub";
  // LUT4 at C = D = 1 in the high four bits, LUT2 in the low four; B is the second input
  localparam [15:0] PLACE = SUBTRACT ? 16'h900A : 16'h600A;
  localparam [15:0] FIRST = SUBTRACT ? 16'h000B : 16'h0008;
  localparam [15:0] CONSTANT = SUBTRACT ? 16'h000F : 16'h0000;
  // place 0 gives 1 + carry of a sum, 0 - carry of a difference
  localparam CARRIED = _TECHMAP_CONSTMSK_A_[0] && _TECHMAP_CONSTVAL_A_[0] == !SUBTRACT;
  localparam SHORT = CARRIED && Y_WIDTH % 2 == 1;
  localparam EVEN = Y_WIDTH % 2 == 0 || SHORT;
  localparam CELLS = SHORT ? Y_WIDTH / 2 : (Y_WIDTH + 1) / 2;

  (* force_downto *)
  wire [Y_WIDTH-1:0] AA, BB;
  \$pos #(.A_SIGNED(A_SIGNED), .A_WIDTH(A_WIDTH), .Y_WIDTH(Y_WIDTH)) a_extended (.A(A), .Y(AA));
  \$pos #(.A_SIGNED(B_SIGNED), .A_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)) b_extended (.A(B), .Y(BB));

  (* force_downto *)
  wire [CELLS:0] carry;
  assign carry[0] = 1'bx;

  // cell i has the places 2 i - SHIFT and 2 i + 1 - SHIFT; place -1 is the constant
  localparam SHIFT = EVEN ? 0 : 1;
  genvar i;
  generate
    for (i = 0; i < CELLS; i = i + 1) begin : cell_
      if (i == 0) begin
        wire unused;
        CCU2C #(
          .INIT0(EVEN ? FIRST : CONSTANT), .INIT1(PLACE), .INJECT1_0("NO"), .INJECT1_1("NO")
        ) first (
          .CIN(carry[0]),
          .A0(EVEN ? AA[0] : 1'b1), .B0(EVEN ? BB[0] : 1'b1), .C0(1'b1), .D0(1'b1),
          .A1(AA[1-SHIFT]), .B1(BB[1-SHIFT]), .C1(1'b1), .D1(1'b1),
          .S0(unused), .S1(Y[1-SHIFT]), .COUT(carry[1])
        );
        if (EVEN) assign Y[0] = AA[0] ^ BB[0];
      end else begin
        CCU2C #(
          .INIT0(PLACE), .INIT1(PLACE), .INJECT1_0("NO"), .INJECT1_1("NO")
        ) next (
          .CIN(carry[i]),
          .A0(AA[2*i-SHIFT]), .B0(BB[2*i-SHIFT]), .C0(1'b1), .D0(1'b1),
          .A1(AA[2*i+1-SHIFT]), .B1(BB[2*i+1-SHIFT]), .C1(1'b1), .D1(1'b1),
          .S0(Y[2*i-SHIFT]), .S1(Y[2*i+1-SHIFT]), .COUT(carry[i+1])
        );
      end
    end
    if (SHORT) begin
      wire below = BB[Y_WIDTH-2] ^ SUBTRACT;
      wire last = AA[Y_WIDTH-2] == below ? below : !Y[Y_WIDTH-2];
      assign Y[Y_WIDTH-1] = AA[Y_WIDTH-1] ^ BB[Y_WIDTH-1] ^ SUBTRACT ^ last;
    end
  endgenerate
endmodule
