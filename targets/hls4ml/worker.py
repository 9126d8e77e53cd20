"""Runs hls4ml in a process of its own: ``python -m actc.targets.hls4ml.worker``, in a folder.

The folder has `network.onnx` and `settings.json`; hls4ml writes its project into `project`, and
`units.json` says how the C++ calls actc's layers. A process of its own, as hls4ml prints much,
keeps global tables, and fails in its own ways.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from actc.targets.hls4ml import emulation
from actc.targets.hls4ml.backends import BACKENDS

MODEL, SETTINGS, PROJECT, UNITS = "network.onnx", "settings.json", "project", "units.json"
_OWN_TYPES = frozenset({"index_t"})
"""Types of hls4ml that hold no data."""


def main() -> None:
    """Convert, look at every type, and write."""
    import hls4ml

    from actc.targets.hls4ml.extension import register

    settings = json.loads(Path(SETTINGS).read_text("utf-8"))
    register((settings["backend"],))
    model = hls4ml.converters.convert_from_onnx_model(MODEL, output_dir=PROJECT, **settings)
    model.write()
    if BACKENDS[settings["backend"]].pipes:
        emulation.write(model, Path(PROJECT))
    problems = unstated(model, settings["hls_config"]["LayerName"])
    if problems:
        raise SystemExit("\n".join(problems))
    Path(UNITS).write_text(json.dumps(units(model), indent=1) + "\n", "utf-8")


def unstated(model: Any, layers: dict[str, Any]) -> list[str]:
    """Types that are not those of the configuration, in words.

    What hls4ml puts between two layers carries the type of what it reads.
    """
    found = []
    for layer in model.get_layers():
        stated = dict(layers.get(layer.name, {}).get("Precision", {}))
        if not stated and layer.inputs:
            precision = layer.get_input_variable().type.precision
            stated = {"result": str(getattr(precision, "precision", precision))}
        for name, kind in layer.types.items():
            asked = stated.get(name.removesuffix("_t"), "")
            # "uint<8>", and "ap_uint<8>" in the configuration
            if name not in _OWN_TYPES and str(kind.precision) != asked.removeprefix("ap_"):
                found.append(f"{layer.name}: {name} is {kind.precision}, not {asked or 'stated'}")
    return found


def units(model: Any) -> list[dict[str, Any]]:
    """The layers of actc that read one tensor: what the C++ calls, and with what behind it."""
    from actc.targets.hls4ml.extension import EXTENSIONS

    own = {extension.op: extension for extension in EXTENSIONS if extension.inputs == 1}
    found = []
    for layer in model.get_layers():
        if layer.class_name not in own:
            continue
        found.append(
            {
                "name": layer.name,
                "function": layer.get_attr("function_cpp").partition("(")[0],
                "given": layer.get_input_variable().type.name,
                "made": layer.get_output_variable().type.name,
                "constants": [
                    layer.get_weights(name).name for name in own[layer.class_name].constants
                ],
            }
        )
    return found


if __name__ == "__main__":
    main()
