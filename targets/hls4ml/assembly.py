"""golden -> program -> layers -> hls4ml's project."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.hdl.names import identifier
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.layers import HlsNetwork
from actc.targets.hls4ml.limits import limits_of
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options


@dataclass(frozen=True, eq=False)
class Assembly:
    """A network for hls4ml.

    Attributes:
        folded: the program, with what the host does around it.
        network: its layers.
        options: what it was made for.
    """

    folded: FoldedNetwork
    network: HlsNetwork
    options: Options


def check(golden: ir.Model, options: Options) -> list[Diagnostic]:
    """All reasons why a golden model cannot be built."""
    try:
        assemble(golden, "network", options)
    except ModelError as problem:
        return list(problem.diagnostics)
    return []


def assemble(golden: ir.Model, name: str, options: Options) -> Assembly:
    """The layers of a golden model.

    Args:
        name: of the network.

    Raises:
        ModelError: ACT0605, ACT0430, ACT0440, all reasons why it cannot be built.
    """
    top = f"actc_{identifier(name)}"
    folded = build_folded(golden, top, more=True)
    own = BACKENDS[options.backend].own
    network = lower(folded.program, top, options.io, own=own)
    problems = limits_of(network, options)
    if problems:
        raise ModelError(problems)
    return Assembly(folded, network, options)
