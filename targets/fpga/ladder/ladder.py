"""The ladder of verification: every form that a network takes, compared with golden.

Description, Verilog, synthesized netlist, placed and routed netlist, bitstream: each rung
gets the same samples, those of the data and random ones over all codes, and must give the
integers that golden gives. The netlists are those of the whole board; the network is cut out
of them where its ports are. What lies around it, the port and its frames, is simulated with
a few samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
import onnx_ir as ir

from actc.targets.base import Progress, Rung
from actc.targets.fpga.assembly import Assembly
from actc.targets.fpga.bitstream import TOP
from actc.targets.fpga.boards.device import Device
from actc.targets.fpga.flow import CONFIGURATIONS
from actc.targets.fpga.gates.netlist import MODELS
from actc.targets.fpga.ladder.netlists import (
    bitstream_rung,
    border_of,
    netlist_rung,
    read_netlist,
)
from actc.targets.fpga.ladder.proofs import NETLIST, netlist_proof_rung, units_rung
from actc.targets.fpga.ladder.source import board_rung, description_rung, verilog_rung
from actc.targets.fpga.ladder.vectors import vectors_of

Array = npt.NDArray[Any]


def climb(
    assembly: Assembly,
    device: Device,
    golden: ir.Model,
    directory: Path,
    folder: str,
    feeds: Mapping[str, Array],
    outputs: Mapping[str, Array],
    say: Progress,
) -> list[Rung]:
    """Compare every form with golden.

    Args:
        device: what the netlists and the bitstream are for.
        golden: the model.
        directory: the output; `folder` in it has netlists and configuration.
        feeds, outputs: the data and golden's outputs for it.

    Raises:
        ToolFailed: a tool failed, or a netlist cannot be evaluated.
    """
    say("verify: description and Verilog")
    vectors = vectors_of(assembly.network, golden, feeds, outputs)
    rungs = [description_rung(assembly, vectors), verilog_rung(assembly, directory, vectors)]
    say("verify: the board over its wire")
    rungs.append(board_rung(assembly, directory, vectors))
    say("verify: activation units, for every input")
    rungs.append(units_rung(assembly, directory))
    family = device.family
    if family not in MODELS:
        reason = f"cells of {family} have no models yet"
        names = ("synthesized netlist", "routed netlist", "bitstream", NETLIST)
        return rungs + [Rung(name, "not run", reason) for name in names]
    work = directory / folder
    say("verify: netlists")
    synthesized, routed = read_netlist(work / "netlist.json"), read_netlist(work / "routed.json")
    border = border_of(assembly, synthesized)
    name = "synthesized netlist"
    rungs.append(netlist_rung(name, assembly, synthesized, assembly.top, border, family, vectors))
    name = "routed netlist"
    rungs.append(netlist_rung(name, assembly, routed, TOP, border, family, vectors))
    say("verify: bitstream")
    asked = work / CONFIGURATIONS.get(family, "")
    rungs.append(bitstream_rung(assembly, directory, routed, border, device, vectors, asked))
    say("verify: synthesized netlist, for every input")
    rungs.append(netlist_proof_rung(assembly, directory, synthesized, border, family))
    return rungs
