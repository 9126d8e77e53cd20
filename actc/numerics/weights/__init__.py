"""Weights of linear operators as integers: formats, scales, rounding, bias correction."""

from actc.numerics.weights.codebook import (
    MOST_WINDOW,
    Codebook,
    kernel_codebook,
    snapped_weights,
)
from actc.numerics.weights.format import GRANULARITIES, SPELLINGS, Granularity, WeightFormat
from actc.numerics.weights.integers import bias_codes, bias_floor, quantize_weights
from actc.numerics.weights.layer import (
    DAMPING,
    QuantizedWeights,
    fitted_weights,
    largest_weights,
    nearest_weights,
    optimal_weights,
    output_error,
    paired_output_error,
    sequential_weights,
    weight_error,
)
from actc.numerics.weights.objective import Moments, PairedMoments

__all__ = [
    "DAMPING",
    "GRANULARITIES",
    "MOST_WINDOW",
    "SPELLINGS",
    "Codebook",
    "Granularity",
    "Moments",
    "PairedMoments",
    "QuantizedWeights",
    "WeightFormat",
    "bias_codes",
    "bias_floor",
    "fitted_weights",
    "kernel_codebook",
    "largest_weights",
    "nearest_weights",
    "optimal_weights",
    "output_error",
    "paired_output_error",
    "quantize_weights",
    "sequential_weights",
    "snapped_weights",
    "weight_error",
]
