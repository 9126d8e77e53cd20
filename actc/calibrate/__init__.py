"""Ranges and histograms of tensors, from calibration data."""
