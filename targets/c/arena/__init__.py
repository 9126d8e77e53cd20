"""One block of memory for all activations: order of execution and offsets together."""
