"""golden -> program -> layers -> foldings -> files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from actc.diagnostics import Diagnostic
from actc.errors import ModelError
from actc.targets.bnn_hls.choice import Choice, Problem
from actc.targets.bnn_hls.design import Design
from actc.targets.bnn_hls.encode import encode, problems_of
from actc.targets.bnn_hls.folding import Folding
from actc.targets.bnn_hls.functions import function_of
from actc.targets.bnn_hls.options import USUAL_THROUGHPUT, Options
from actc.targets.bnn_hls.simulation import pack, sources
from actc.targets.bnn_hls.tcl import board_tcl, ip_tcl
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.hdl.names import identifier
from actc.targets.vendor import files as vendor
from actc.targets.vendor.words import format_of, slots_of

HLS = "hls"
HOST = "host"
FILL = 0.7
"""Share of a part's look-up tables that estimates may take, which are rough."""
_SAMPLES = 16
"""Random samples that come with the testbench."""


@dataclass(frozen=True, eq=False)
class HlsAssembly:
    """A network as HLS C++.

    Attributes:
        network: the program, with what the host does around it.
        design: the layers and how they are folded.
        options: what it was built for.
    """

    network: FoldedNetwork
    design: Design
    options: Options

    @property
    def name(self) -> str:
        """Of the top function."""
        return self.design.network.name

    @property
    def samples_per_second(self) -> float:
        """By the loops alone."""
        return self.options.clock_mhz * 1e6 / self.design.choice.interval

    def documents(self) -> dict[str, bytes]:
        """Relative path -> content of all that is written."""
        texts = {f"{HLS}/{name}": text for name, text in sources(self.design).items()}
        texts[f"{HLS}/build_ip.tcl"] = ip_tcl(self.name, self.options)
        board = self.options.on_board
        if board is not None:
            texts[f"{HLS}/build_board.tcl"] = board_tcl(self.name, self.options, board)
            texts[f"{HOST}/driver.py"] = vendor.filled("driver.py.in", NAME=self.name)
        texts[f"{HOST}/format.json"] = json.dumps(self.format(), indent=1) + "\n"
        texts["README.md"] = _readme(self)
        found = {name: text.encode("utf-8") for name, text in texts.items()}
        given, expected = self.samples()
        found[f"{HLS}/data/inputs.txt"] = pack(self.design.network.entry, given)
        found[f"{HLS}/data/expected.txt"] = pack(self.design.network.output, expected)
        return found

    def samples(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Random samples over all codes, and what the program makes of them."""
        stream = self.network.program.entries[0]
        rng = np.random.default_rng(0)
        shape = (_SAMPLES, *stream.shape)
        given = rng.integers(stream.range.low, stream.range.high, shape, endpoint=True)
        return given, self.network.program.evaluate([given])[0]

    def format(self) -> dict[str, Any]:
        """What a host has to know: how tensors become words of 64 bits, and words tensors."""
        return format_of(self.name, self.network.interface(), *self.design.borders)


def check(golden: ir.Model) -> list[Diagnostic]:
    """All reasons why a golden model cannot be built."""
    try:
        network = build_folded(golden, "network")
    except ModelError as problem:
        return list(problem.diagnostics)
    return problems_of(network.program)


def assemble(
    golden: ir.Model, name: str, options: Options, foldings: Sequence[Folding] | None = None
) -> HlsAssembly:
    """Fold a golden model.

    Args:
        name: of the network.
        foldings: of each layer; None: those of least cost at the throughput.

    Raises:
        ModelError: ACT0605, ACT0421, it cannot be folded; ACT0422, not so fast.
    """
    top = f"bnn_{identifier(name)}"
    network = build_folded(golden, top)
    return HlsAssembly(network, design_of(network, top, options, foldings), options)


def design_of(
    network: FoldedNetwork, top: str, options: Options, foldings: Sequence[Folding] | None = None
) -> Design:
    """The layers of a folded network and their foldings.

    Raises:
        ModelError: see :func:`assemble`.
    """
    layers = encode(network.program, top)
    functions = tuple(function_of(layer) for layer in layers.layers)
    border = slots_of(layers.entry.code.bits), slots_of(layers.output.code.bits)
    problem = Problem(layers, functions, border, foldings)
    return Design(layers, functions, _chosen(problem, options, foldings is not None), options.flow)


def _chosen(problem: Problem, options: Options, fixed: bool) -> Choice:
    slowest = problem.intervals[-1]
    if fixed:
        found = problem.solve(slowest)
    elif options.throughput == 0:
        board = options.on_board
        if board is None:
            found = problem.fastest(1 << 60, 1 << 60)
        else:
            found = problem.fastest(int(FILL * board.luts), board.blocks)
    else:
        rate = options.throughput or USUAL_THROUGHPUT
        found = problem.solve(int(options.clock_mhz * 1e6 / rate))
        if found is None and options.throughput is None:
            found = problem.fastest(1 << 60, 1 << 60)
    if found is None:
        raise ModelError(_too_fast(problem, options))
    return found


def _too_fast(problem: Problem, options: Options) -> Diagnostic:
    best = problem.fastest(1 << 60, 1 << 60)
    if best is None:
        return Diagnostic(
            "ACT0422",
            "a layer has words of more than 4096 bits however it is folded",
            help="give fewer channels or bits, or compile for an FPGA (`actc targets`)",
        )
    rate = options.clock_mhz * 1e6 / best.interval
    return Diagnostic(
        "ACT0422",
        f"{options.throughput:g} samples per second cannot be had at {options.clock_mhz:g} MHz"
        if options.throughput
        else f"no folding fits {options.device} by estimate",
        notes=(f"the fastest folding needs {best.interval} clocks per sample, about {best.luts} "
               f"look-up tables and {best.blocks} block memories of 18 kbit",),
        help=f"ask for at most {rate:g} samples per second, a faster clock or a larger board",
    )  # fmt: skip


def _readme(assembly: HlsAssembly) -> str:
    options, board = assembly.options, assembly.options.on_board
    tool = "vitis_hls" if options.flow == "vitis" else "vivado_hls"
    lines = [
        f"# {assembly.name}",
        "",
        f"HLS C++ for {options.device} at {options.clock_mhz:g} MHz, written by actc.",
        "",
        "Simulated with g++ and the headers in `hls/simulation`, its outputs equal golden.onnx.",
        "The Tcl needs tools of AMD and was not run.",
        "",
        "    cd hls",
        f"    {' '.join(_command(assembly.name))}    # the testbench, without any vendor's tool",
        "    ./testbench data/inputs.txt data/expected.txt",
        f"    {tool} -f build_ip.tcl               # C simulation, synthesis, IP",
    ]
    if options.flow == "vitis":
        lines.append("    vitis-run --mode hls --tcl build_ip.tcl    # the same, in newer versions")
    if board is not None:
        lines += [
            "    vivado -mode batch -source build_board.tcl    # bitstream and hardware handoff",
            "",
            f"Copy `hls/board/{assembly.name}.bit`, `.hwh` and `host/` to the {board.title};",
            f"`python3 driver.py {assembly.name}.bit SAMPLES.npy` prints the outputs.",
        ]
    lines += [
        "",
        "`actc build` runs these scripts in a copy, `build/vendor`, and adds resources and timing",
        "to `report.json`.",
    ]
    return "\n".join([*lines, ""])


def _command(name: str) -> tuple[str, ...]:
    from actc.targets.bnn_hls.simulation import compile_command

    return compile_command(name, "testbench")


def as_json(document: Mapping[str, Any]) -> str:
    """A document with stable layout."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"
