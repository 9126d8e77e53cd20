"""Target `bnn-hls`: binary and few-bit networks as HLS C++ of our own."""

from actc.targets.bnn_hls.target import BnnHlsTarget

__all__ = ["BnnHlsTarget"]
