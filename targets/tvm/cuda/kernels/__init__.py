"""Kernels of the target `cuda`: TIR with threads. Importing them imports TVM."""
