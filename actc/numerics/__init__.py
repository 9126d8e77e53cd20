"""Integer numerics: quantization, requantization and accumulator widths, bit-exact."""

from actc.numerics.quantization import QuantizationParameters, accumulator_bound
from actc.numerics.requantize import Requantization, choose_multiplier, requantize

__all__ = [
    "QuantizationParameters",
    "Requantization",
    "accumulator_bound",
    "choose_multiplier",
    "requantize",
]
