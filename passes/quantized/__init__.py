"""Models that came quantized: their quantizers as formats, their integers as they are."""
