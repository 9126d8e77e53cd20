"""What the bench calls of the project's activation units, in C++."""

from __future__ import annotations

import json
from math import prod
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed
from actc.targets.hls4ml import files
from actc.targets.hls4ml.backends import Backend
from actc.targets.hls4ml.evaluate import UNITS
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork


def unit_layers(network: HlsNetwork) -> list[HlsLayer]:
    """The layers that are activation units, in the order of the bench."""
    return [layer for layer in network.layers if layer.op in UNITS]


def unit_parts(
    network: HlsNetwork, backend: Backend, io: str, written: str | bytes
) -> dict[str, str]:
    """What is filled into the bench.

    Args:
        io: "parallel" or "stream".
        written: `units.json`.

    Raises:
        ToolFailed: ACT0441, hls4ml did not write a unit.
    """
    known = {unit["name"]: unit for unit in json.loads(written)}
    layers = unit_layers(network)
    missing = [layer.name for layer in layers if layer.name not in known]
    if missing:
        message = f"hls4ml's project lacks the activation units {', '.join(missing)}"
        help = "install the version of hls4ml that actc names, and compile again"
        raise ToolFailed(Diagnostic("ACT0441", message, help=help))
    names = [name for layer in layers for name in known[layer.name]["constants"]]
    streamed = backend.calls[io] == "streams"
    apply = f"unit_{'streams' if streamed else 'arrays'}.cpp.in"
    return {
        "CONSTANTS": "" if backend.pipes else "".join(map(_constant, names)),
        "APPLY": files.filled(apply, CHANNEL=backend.channel) if layers else "",
        "UNITS": "".join(_call(layer, known[layer.name], backend) for layer in layers),
    }


def _constant(name: str) -> str:
    # the network has read the file already, and its guard is lifted
    return f'#undef {name.upper()}_H_\n#include "firmware/weights/{name}.h"\n'


def _call(layer: HlsLayer, unit: dict[str, Any], backend: Backend) -> str:
    # where streams are pipes, tensors and constants are objects, and the project is compiled here
    constant, element = ("{}.data()", "::value_type") if backend.pipes else ("synthesized::{}", "")
    return files.filled(
        "unit.cpp.in",
        SIZE=str(prod(layer.shape)),
        GIVEN=unit["given"] + element,
        MADE=unit["made"] + element,
        FUNCTION=unit["function"],
        CONSTANTS="".join(", " + constant.format(name) for name in unit["constants"]),
    )
