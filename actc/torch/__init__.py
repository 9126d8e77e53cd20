"""Fine-tuning in torch of exactly what golden.onnx computes.

    import actc.torch

    plan = actc.torch.plan(module, example_inputs, data="data.npz", output="plan", weights="2")
    prepared = actc.torch.prepare(module, plan)      # forward == golden.onnx on every bit
    ...                                              # train prepared.parameters()
    prepared.export("golden.onnx")                   # the trained integers

For FPGAs, `fine_tune_for_logic` trains to a budget of adders. `actc.torch.binary` has layers
and a recipe for binary networks.

Needs the extra `torch`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from actc import toolchain
from actc.torch_export import TORCH_HELP

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from actc.artifact import Artifact
    from actc.data import DataLike
    from actc.torch.hardware import LogicBudget, logic
    from actc.torch.hardware_training import fine_tune_for_logic
    from actc.torch.module import PreparedModule

__all__ = ["LogicBudget", "PreparedModule", "fine_tune_for_logic", "logic", "plan", "prepare"]

_WITH_TORCH = {
    "LogicBudget": "hardware",
    "PreparedModule": "module",
    "fine_tune_for_logic": "hardware_training",
    "logic": "hardware",
}
"""What needs torch to be imported: name -> module here."""


def plan(
    module: torch.nn.Module,
    example_inputs: torch.Tensor | Sequence[torch.Tensor],
    *,
    data: DataLike | None = None,
    output: str | Path,
    target: str = "onnx",
    **options: Any,
) -> Artifact:
    """Export a module and compile it: `actc.export` and `actc.compile` in one.

    Args:
        module: the trained network.
        example_inputs: one tensor or one per argument, the batch first.
        data: as for `actc.compile`; the inputs are called x, or x0, x1...
        output: directory to write.
        target: as for `actc.compile`.
        options: further ones of `actc.compile`, such as ``weights="2"``.

    Returns:
        the artefact, which `prepare` takes.

    Raises:
        MissingTool: torch is not installed.
        ActcError: as `actc.export` and `actc.compile`.
    """
    from actc.compiler import compile
    from actc.torch_export import export

    model = export(module, example_inputs)
    return compile(model, target, data=data, output=output, **options)


def prepare(
    module: torch.nn.Module | None,
    plan: str | Path | Artifact,
    *,
    gradient: str = "derivative",
    weights: str = "straight-through",
    window: float = 1 / 16,
    bits: int = 2,
    data: DataLike | None = None,
) -> PreparedModule:
    """Make a torch module that computes golden.onnx on every bit, and can be trained.

    Args:
        module: the network that the plan was made of; it is checked against the plan and
            stays as it is. None: the plan alone, such as of an ONNX file.
        plan: an output directory of `actc compile`, or what `plan` or `actc.compile` gave.
        gradient: of activations, see `actc.torch.gradients.TableGradient`: "derivative",
            "straight-through", "hysteresis", "periodic" or "few-bit".
        weights: how weights become codes, see `actc.torch.gradients.WeightGradient`:
            "straight-through" or "periodic".
        window: of "hysteresis", as a part of the range of codes.
        bits: of "few-bit": 1, 2, 4 or 8.
        data: what the plan was compiled with; needed only where its passes change weights
            by it (`equalize`).

    Raises:
        MissingTool: torch is not installed.
        UsageError: ACT0372, there is no plan; ACT0373, the module is another one; ACT0375,
            a gradient is unknown; ACT0233, the directory was changed.
        ModelError: ACT0374, with every operator that torch cannot compute exactly.
    """
    toolchain.require_package("torch", TORCH_HELP)
    from actc.torch.gradients import Gradients
    from actc.torch.module import PreparedModule
    from actc.torch.planning import directory_of, open_plan, require_same

    gradients = Gradients.parse(gradient, weights, window, bits)
    opened = open_plan(directory_of(plan), data)
    if module is not None:
        require_same(module, opened)
    return PreparedModule(opened, gradients)


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module 'actc.torch' has no attribute '{name}'")
    toolchain.require_package("torch", TORCH_HELP)
    return getattr(importlib.import_module(f"actc.torch.{_WITH_TORCH[name]}"), name)
