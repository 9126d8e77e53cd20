"""Generate the export corpus: one tiny model per function, exporter and opset.

    python tests/corpus/generate.py

Writes models/<function>-<exporter>-<opset>[-conv].onnx and manifest.json. A
combination that an exporter cannot do is listed under "missing" with the
exporter's reason. Every model is compared with torch before it is written.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir
import onnxruntime
import torch
from functions import FUNCTIONS, Function
from onnx_ir.passes.common import ClearMetadataAndDocStringPass
from torch import nn

HERE = Path(__file__).resolve().parent
EXPORTERS = ("dynamo", "torchscript")
OPSETS = (17, 18, 20, 23)
CONV_OPSETS = (18,)
CHANNELS = 8


def make_model(function: Function, layer: str) -> tuple[nn.Module, torch.Tensor]:
    """Make linear-activation-linear or convolution-activation-convolution.

    Returns:
        the model, whose activation sees about -5..5 on normal inputs, and an
        example input of batch 2.
    """
    torch.manual_seed(0)
    if layer == "conv":
        first: nn.Conv2d | nn.Linear = nn.Conv2d(2, CHANNELS, 3, padding=1)
        last: nn.Module = nn.Conv2d(CHANNELS, 3, 1)
        example = torch.randn(2, 2, 5, 5)
    else:
        first, last = nn.Linear(4, CHANNELS), nn.Linear(CHANNELS, 3)
        example = torch.randn(2, 4)
    model = nn.Sequential(first, function.make(CHANNELS, layer == "conv"), last)
    nn.init.normal_(first.weight, std=1.5 if layer == "linear" else 0.7)
    return model.eval(), example


def export(model: nn.Module, example: torch.Tensor, exporter: str, opset: int) -> onnx.ModelProto:
    """Export with a dynamic batch; input "x", output "y"."""
    options: dict[str, Any] = {
        "opset_version": opset,
        "input_names": ["x"],
        "output_names": ["y"],
        "verbose": False,
    }
    if exporter == "dynamo":
        shapes = ({0: torch.export.Dim("batch")},)
        program = torch.onnx.export(
            model, (example,), dynamo=True, dynamic_shapes=shapes, **options
        )
        if program is None:
            raise RuntimeError("torch.onnx.export returned nothing")
        return program.model_proto
    buffer: Any = io.BytesIO()
    axes = {"x": {0: "batch"}, "y": {0: "batch"}}
    torch.onnx.export(model, (example,), buffer, dynamo=False, dynamic_axes=axes, **options)
    return onnx.load_from_string(buffer.getvalue())


def clean(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop stack traces, doc strings and metadata: large, and they name local paths."""
    model = onnx_ir.from_proto(proto)
    ClearMetadataAndDocStringPass()(model)
    model.metadata_props.clear()
    values = (*model.graph.inputs, *model.graph.outputs, *model.graph.initializers.values())
    for value in values:
        value.metadata_props.clear()
    cleaned = onnx_ir.to_proto(model)
    onnx.checker.check_model(cleaned, full_check=True)
    return cleaned


def compare(proto: onnx.ModelProto, model: nn.Module, example: torch.Tensor) -> None:
    """Compare the exported model with torch.

    Raises:
        AssertionError: they differ by more than float32 rounding explains.
    """
    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (result,) = session.run(["y"], {"x": example.numpy()})
    expected = model(example).detach().numpy()
    np.testing.assert_allclose(np.asarray(result), expected, rtol=1e-4, atol=1e-5)


def combinations() -> list[tuple[Function, str, int, str]]:
    """All (function, exporter, opset, layer) of the corpus."""
    linear = itertools.product(FUNCTIONS, EXPORTERS, OPSETS, ("linear",))
    conv = itertools.product(FUNCTIONS, EXPORTERS, CONV_OPSETS, ("conv",))
    return [*linear, *conv]


def main() -> None:
    """Write all models and the manifest."""
    parser = argparse.ArgumentParser(description="generate the export corpus")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    output: Path = parser.parse_args().output
    (output / "models").mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    models: list[dict[str, Any]] = []
    missing: list[dict[str, Any]] = []
    for function, exporter, opset, layer in combinations():
        model, example = make_model(function, layer)
        suffix = "-conv" if layer == "conv" else ""
        entry = {
            "file": f"{function.slug}-{exporter}-{opset}{suffix}.onnx",
            "function": function.slug,
            "label": function.label,
            "exporter": exporter,
            "opset": opset,
            "layer": layer,
            "channels": CHANNELS if function.per_channel else 1,
        }
        try:
            proto = export(model, example, exporter, opset)
        except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
            missing.append({**entry, "reason": str(error).splitlines()[0]})
            continue
        exported = next(o.version for o in proto.opset_import if o.domain == "")
        if exported != opset:
            missing.append({**entry, "reason": f"the exporter wrote opset {exported} instead"})
            continue
        proto = clean(proto)
        compare(proto, model, example)
        (output / "models" / str(entry["file"])).write_bytes(
            proto.SerializeToString(deterministic=True)
        )
        models.append(entry)
    manifest = {"torch": torch.__version__, "models": models, "missing": missing}
    (output / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    print(f"{len(models)} models, {len(missing)} missing")


if __name__ == "__main__":
    main()
