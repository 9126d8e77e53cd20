"""The targets, by name: a table of lazy references, plus entry points.

Third parties add a target through the entry point group ``actc.targets``
(name = target name, value = ``module:Class``).
"""

from __future__ import annotations

from actc.registry import Registry

TARGETS = Registry(
    "target",
    "actc.targets",
    {
        "onnx": "actc.targets.onnx:OnnxTarget",
        "cpu": "actc.targets.tvm:CpuTarget",
    },
)
