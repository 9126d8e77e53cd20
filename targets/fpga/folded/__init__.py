"""Folded networks: stages that take a few elements per clock, between streams."""
