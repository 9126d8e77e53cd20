"""The passes, by name: a table of lazy references, plus entry points.

Third parties add a pass through the entry point group ``actc.passes``
(name = pass name, value = ``module:Class``).
"""

from __future__ import annotations

from actc.registry import Registry

PASSES = Registry(
    "pass",
    "actc.passes",
    {
        "normalize": "actc.passes.normalize:Normalize",
        "structure": "actc.passes.structure:Structure",
        "equalize": "actc.passes.equalize:Equalize",
        "rotate": "actc.passes.rotate:Rotate",
        "read_quantized": "actc.passes.read_quantized:ReadQuantized",
        "quantizers": "actc.passes.read_quantized:Quantizers",
        "binarize": "actc.passes.binarize:Binarize",
        "recognize": "actc.passes.recognize:Recognize",
        "choose": "actc.passes.choose:Choose",
        "probabilities": "actc.passes.probabilities:Probabilities",
        "calibrate": "actc.passes.calibrate:Calibrate",
        "approximate": "actc.passes.approximate:Approximate",
        "quantize": "actc.passes.quantize:Quantize",
        "weights": "actc.passes.weights:QuantizeWeights",
        "integerize": "actc.passes.integerize:Integerize",
        "take_golden": "actc.passes.take_golden:TakeGolden",
    },
)
