"""PrimFuncs: loop nests in TVM's TIR, written already scheduled."""
