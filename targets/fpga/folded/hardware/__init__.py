"""Hardware of folded networks: stages between streams, as Verilog."""
