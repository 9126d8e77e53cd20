"""actc, the activation compiler.

    import actc
    artifact = actc.compile("model.onnx", target="cpu", data="data.npz")
    outputs = artifact.run({"input": x})

Names are imported on first use, so that `import actc` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actc.artifact import Artifact
    from actc.artifact import open_artifact as load
    from actc.bisection import bisect
    from actc.building import build
    from actc.checked_options import option_problems
    from actc.compiler import compile
    from actc.config import Config, find_config, read_config
    from actc.errors import ActcError
    from actc.exploring import explore
    from actc.fit_result import FitResult
    from actc.fitting import fit
    from actc.inspection import inspect
    from actc.pipeline import Pipeline
    from actc.recheck import check
    from actc.reducing import Reduction, reduce
    from actc.reported import read_report
    from actc.reproducing import reproduce
    from actc.running import run
    from actc.targets.base import Target
    from actc.torch_export import export
    from actc.verifying import verify

__all__ = [
    "ActcError",
    "Artifact",
    "Config",
    "FitResult",
    "Pipeline",
    "Reduction",
    "Target",
    "bisect",
    "build",
    "check",
    "compile",
    "explore",
    "export",
    "find_config",
    "fit",
    "inspect",
    "load",
    "option_problems",
    "read_config",
    "read_report",
    "reduce",
    "reproduce",
    "run",
    "verify",
]

_HOMES = {
    "ActcError": ("actc.errors", "ActcError"),
    "Artifact": ("actc.artifact", "Artifact"),
    "Config": ("actc.config", "Config"),
    "FitResult": ("actc.fit_result", "FitResult"),
    "Pipeline": ("actc.pipeline", "Pipeline"),
    "Reduction": ("actc.reducing", "Reduction"),
    "Target": ("actc.targets.base", "Target"),
    "bisect": ("actc.bisection", "bisect"),
    "build": ("actc.building", "build"),
    "check": ("actc.recheck", "check"),
    "compile": ("actc.compiler", "compile"),
    "explore": ("actc.exploring", "explore"),
    "find_config": ("actc.config", "find_config"),
    "export": ("actc.torch_export", "export"),
    "fit": ("actc.fitting", "fit"),
    "inspect": ("actc.inspection", "inspect"),
    "load": ("actc.artifact", "open_artifact"),
    "option_problems": ("actc.checked_options", "option_problems"),
    "read_config": ("actc.config", "read_config"),
    "read_report": ("actc.reported", "read_report"),
    "reduce": ("actc.reducing", "reduce"),
    "reproduce": ("actc.reproducing", "reproduce"),
    "run": ("actc.running", "run"),
    "verify": ("actc.verifying", "verify"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'actc' has no attribute '{name}'")
    module, attribute = _HOMES[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
