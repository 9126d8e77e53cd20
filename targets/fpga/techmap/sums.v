// Every sum becomes a carry chain of its own.
//
// Without this, yosys joins chains of sums of one reader each ($macc) and adds their
// operands by full adders, two look-up tables a bit. Run it on $add and $sub before the
// synth_* command of a family.

(* techmap_celltype = "$add $sub" *)
module _80_actc_sum (A, B, Y);
  parameter A_SIGNED = 0;
  parameter B_SIGNED = 0;
  parameter A_WIDTH = 1;
  parameter B_WIDTH = 1;
  parameter Y_WIDTH = 1;
  parameter _TECHMAP_CELLTYPE_ = "";
  (* force_downto *)
  input [A_WIDTH-1:0] A;
  (* force_downto *)
  input [B_WIDTH-1:0] B;
  (* force_downto *)
  output [Y_WIDTH-1:0] Y;

  localparam SUBTRACT = _TECHMAP_CELLTYPE_ == "$sub";
  (* force_downto *)
  wire [Y_WIDTH-1:0] propagated, carries;

  \$alu #(
    .A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED),
    .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
  ) _TECHMAP_REPLACE_ (
    .A(A), .B(B), .CI(SUBTRACT ? 1'b1 : 1'b0), .BI(SUBTRACT ? 1'b1 : 1'b0),
    .X(propagated), .Y(Y), .CO(carries)
  );
endmodule
