"""Random binary networks on every level: float signs, golden, HLS C++, folded and unrolled RTL.

``check(cases)`` runs all levels of many networks on the same samples: what compiles or
simulates does so for all of them at once.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import onnx_ir as ir
from binary_networks import BRANCHED, FORMS, KINDS, lowered, random_network, reference
from bnn_hls_batches import CppJob, run_cpp
from bnn_hls_designs import designed
from folded_batches import RtlJob, random_foldings, run_rtl
from models import proto_of, run
from quantized_models import codes_raised, plain_run

from actc.errors import ToolFailed
from actc.ir.context import context_of
from actc.ir.load import load
from actc.numerics.quantization import QuantizationParameters
from actc.targets.bnn_hls.design import Flow
from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.folded.folding import entry_words
from actc.targets.fpga.folded.hardware.core import folded_design
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.network import FoldedNetwork, build_folded
from actc.targets.fpga.hdl.hierarchy import write_design
from actc.targets.fpga.network import NetworkOptions, build_network
from actc.targets.fpga.pipeline import find_timing
from actc.targets.fpga.rtl_simulation import simulate_design

Array = np.ndarray[Any, Any]
Found = dict[str, Array | ToolFailed]
Job = TypeVar("Job")

ALL_KINDS = (*KINDS, *BRANCHED)
UNROLLED = ("dense", "residual dense")
"""Kinds that are small where nothing is folded: every other network of these is unrolled, too."""
OPTIONS = (
    HardwareOptions("ecp5", find_timing("ecp5-6"), 80.0),
    HardwareOptions("ice40", find_timing("ice40-up"), 24.0),
)
SAMPLES = 16
"""That each network is run on, on all levels."""
_NOT_EXACT = {"ACT0113", "ACT0118"}
_UNROLLED = NetworkOptions(end="scores", adders=AdderOptions(effort=0))


@dataclass(frozen=True)
class Case:
    """A network of `random_network`.

    Attributes:
        seed: of the network, and of its foldings.
        kind, form: of `ALL_KINDS` and of `FORMS`.
    """

    seed: int
    kind: str
    form: str

    @property
    def repeated(self) -> str:
        """A command that runs it alone."""
        call = f'check([Case({self.seed}, "{self.kind}", "{self.form}")])'
        return f"cd tests && python -c 'from binary_levels import *; {call}'"


def cases(numbers: range) -> list[Case]:
    """All kinds and forms by turns."""
    kinds, forms = len(ALL_KINDS), len(FORMS)
    return [Case(n, ALL_KINDS[n % kinds], FORMS[n // kinds % forms]) for n in numbers]


@dataclass(frozen=True)
class Levels:
    """A network, with what is built of it.

    Attributes:
        case: where it comes from.
        wanted: what the float network gives in float64: [samples, outputs].
        found: what is compared with it, by the name of the level.
        said: what is wrong with golden besides.
        golden: of the network.
        network: golden as integer stages.
        cpp, rtl: these as HLS C++ and as folded Verilog.
    """

    case: Case
    wanted: Array
    found: Found
    said: str
    golden: onnx.ModelProto
    network: FoldedNetwork
    cpp: CppJob
    rtl: RtlJob

    def output(self, codes: Array | ToolFailed) -> Array | ToolFailed:
        """The network's output, from what hardware gave."""
        return codes if isinstance(codes, ToolFailed) else self.network.epilogue([codes])["y"]

    def differing(self) -> dict[str, str]:
        """Levels that differ from the float signs, and how."""
        found = {"golden inside": self.said} if self.said else {}
        for level, got in self.found.items():
            if isinstance(got, ToolFailed):
                found[level] = f"{level} ({got})"
            elif not np.array_equal(got, self.wanted):
                rows = (got != self.wanted).reshape(len(got), -1).any(axis=1)
                found[level] = f"{level} (in {rows.sum()} of {len(got)} samples)"
        return found


def build(
    case: Case,
    name: str = "net",
    change: Callable[[onnx.ModelProto], onnx.ModelProto] = lambda golden: golden,
) -> Levels:
    """A network with its golden, its C++ and its Verilog; float and golden have run.

    Args:
        name: of what is made of it.
        change: of golden, to plant a defect.
    """
    rng = np.random.default_rng(case.seed)
    model, feeds = random_network(rng, case.kind, case.form, SAMPLES)
    found: Found = {}
    if case.form != "estimator":  # x + (s - x) is rounded in float32
        found["onnxruntime"] = plain_run(load(model).proto, feeds)["y"]
    result = lowered(model, feeds)
    golden = change(proto_of(result))
    wanted, found["golden"], said = _compared(model, result, golden, feeds)
    network = build_folded(ir.from_proto(golden), name)
    words, rng = network.prologue(feeds)[0], np.random.default_rng([case.seed, 1])
    flow: Flow = "vitis" if rng.integers(2) else "vivado"
    cpp = CppJob.of(designed(network.program, rng, flow, name=name), words)
    folded = folded_design(
        network.program,
        random_foldings(network.program, rng),
        name,
        OPTIONS[int(rng.integers(len(OPTIONS)))],
        int(rng.choice(entry_words(network.program.entries[0]))),
    )
    rtl = RtlJob(folded, words, folded.files, pauses=bool(rng.integers(2)))
    if case.kind in UNROLLED and rng.integers(2):
        found["unrolled RTL"] = _unrolled(golden, name, feeds)
    return Levels(case, wanted, found, said, golden, network, cpp, rtl)


def _compared(
    model: onnx.ModelProto, result: ir.Model, golden: onnx.ModelProto, feeds: Mapping[str, Array]
) -> tuple[Array, Array, str]:
    """The output of the float network, that of golden, and which signs of golden are others."""
    codes: dict[str, tuple[str, QuantizationParameters]] = context_of(result).facts["golden"]
    signs = [n.output[0] for n in model.graph.node if n.output[0].startswith("sign")]
    exact = reference(model, feeds, *signs)
    got = run(golden, feeds, *(codes[sign][0] for sign in signs))
    said = sorted(_NOT_EXACT & {*codes_raised(result)})
    for sign in signs:
        name, p = codes[sign]
        if not np.array_equal((got[name].astype(np.int64) - p.zero_point) * p.scale, exact[sign]):
            said.append(sign)
    return exact["y"], got["y"], ", ".join(said)


def _unrolled(golden: onnx.ModelProto, name: str, feeds: Mapping[str, Array]) -> Array | ToolFailed:
    """The output of logic that folds nothing, simulated as Verilog."""
    network = build_network(ir.from_proto(golden), name, _UNROLLED)
    design = network.design
    try:
        given = simulate_design(
            write_design(design), design, network.prologue(feeds), simulator="icarus"
        )
    except ToolFailed as error:
        return error
    return network.epilogue(given)["y"]


def _each(
    together: Callable[[Sequence[Job], Path], Sequence[Array | ToolFailed]], jobs: Sequence[Job]
) -> list[Array | ToolFailed]:
    """What each job gives; where one spoils the others' run, halves run by themselves."""
    try:
        with tempfile.TemporaryDirectory(prefix="actc-levels-") as name:
            found = together(jobs, Path(name))
    except ToolFailed as error:
        if len(jobs) == 1:
            return [error]
        middle = len(jobs) // 2
        return [*_each(together, jobs[:middle]), *_each(together, jobs[middle:])]
    return [*found]


def compare(built: Sequence[Levels]) -> dict[Case, dict[str, str]]:
    """Run the C++ and the Verilog of networks; of those where levels differ, which, and how.

    Args:
        built: of different names.
    """
    cpp = _each(run_cpp, [levels.cpp for levels in built])
    rtl = _each(run_rtl, [levels.rtl for levels in built])
    found = {}
    for levels, *hardware in zip(built, cpp, rtl, strict=True):
        for level, codes in zip(("C++", "RTL"), hardware, strict=True):
            levels.found[level] = levels.output(codes)
        if differing := levels.differing():
            found[levels.case] = differing
    return found


def check(some: Sequence[Case]) -> list[Levels]:
    """All levels of networks are the same on every bit; what was built.

    Raises:
        AssertionError: which networks are not, on which levels, and how to repeat each.
    """
    built = []
    for number, case in enumerate(some):
        try:
            built.append(build(case, f"net{number}"))
        except Exception as error:
            raise AssertionError(f"{case} cannot be built; alone: {case.repeated}") from error
    found = compare(built)
    assert not found, told(found)
    return built


def told(found: Mapping[Case, Mapping[str, str]]) -> str:
    """Which networks differ where, a line each, and how to repeat each alone."""
    return "\n".join(
        f"{case}: not as the float signs are {', '.join(levels.values())}; alone: {case.repeated}"
        for case, levels in found.items()
    )
