"""Tuning of the target `cpu`: convolutions are cut as is measured to be fastest on this machine."""
