"""Recurrent layers in folded networks: a step machine, one step of a sample after the other."""
