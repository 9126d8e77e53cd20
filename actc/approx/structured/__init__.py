"""Structured functions: integer datapaths around fitted scalar pieces, with error bounds."""
