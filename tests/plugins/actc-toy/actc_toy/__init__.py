"""The smallest plug-in for actc: one pass, one target."""
