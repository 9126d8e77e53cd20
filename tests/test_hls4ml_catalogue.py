"""Target hls4ml: functions of the catalogue between quantizers, in C++ on every input."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hls4ml_networks import needs_hls4ml
from installed import needs_gxx
from models import prepared
from models import run as ort

from actc.approx.catalogue import CATALOGUE, CatalogueEntry, find
from actc.compiler import default_pipeline
from actc.targets.fpga.folded.network import build_folded
from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.layers import HlsFunction, HlsLayer, HlsNetwork
from actc.targets.hls4ml.lower import lower
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.simulation import BENCH, bench, compile_bench
from actc.targets.hls4ml.units.check import check_units, layers_of
from actc.targets.hls4ml.worker import PROJECT, UNITS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import hls4ml_functions as benchmark  # noqa: E402
import hls4ml_stock as stock  # noqa: E402
from catalogue_mlp import (  # noqa: E402
    first_weights,
    formats,
    groups,
    mlp,
    reference,
    samples,
)
from catalogue_onnx import OPSET, Graph, Traced, write_function  # noqa: E402

Array = np.ndarray[Any, Any]
TOGETHER = 32
"""Functions that one MLP has, side by side."""


def lowered(entries: Sequence[CatalogueEntry], bits: int) -> tuple[HlsNetwork, list[HlsFunction]]:
    """An MLP with the functions as layers, made from golden; and what its functions became."""
    network = mlp(entries, bits)
    feeds = {"x": samples(entries[0], bits)}
    pipeline = default_pipeline("int8", "auto", "minmax", "8" if bits == 8 else "16")
    golden = pipeline.run(prepared(network.model, feeds))
    found = lower(build_folded(golden, "net").program, "net", "parallel")
    known = {function.given: function for function in found.functions}
    return found, [known[name] for name in network.layers]


def only_units(parts: Sequence[tuple[HlsNetwork, HlsFunction]]) -> HlsNetwork:
    """A network of nothing but the units of functions, whose results are added."""
    layers: list[HlsLayer] = []
    functions: list[HlsFunction] = []
    total, given = "", Range(-1, 1)
    for number, (network, function) in enumerate(parts):
        chain = layers_of(network, function)
        range, shape = network.range_of(function.given), chain[0].shape
        # it is not run: what is in front of a unit only gives it its type
        front = ("net_in", "net_in")
        layers.append(_sum(f"given{number}", front, shape, range))
        for place, layer in enumerate(chain):
            own = f"unit{number}_{place}"
            layers.append(replace(layer, name=own, inputs=(layers[-1].name,)))
        last = layers[-1]
        functions.append(HlsFunction(f"given{number}", last.name, function.functions))
        both = (total or last.name, last.name)
        layers.append(_sum(f"sum{number}", both, shape, last.result))
        total = layers[-1].name
    return HlsNetwork("net", "net_in", layers[0].shape, given, tuple(layers), tuple(functions))


def _sum(name: str, inputs: tuple[str, str], shape: tuple[int, ...], range: Range) -> HlsLayer:
    return HlsLayer(name, "ActcSum", inputs, shape, range, {"first": 1, "second": 1})


def check(entries: Sequence[CatalogueEntry], bits: int, folder: Path) -> None:
    parts = []
    for group in groups(entries, bits, TOGETHER):
        network, found = lowered(group, bits)
        for entry, function in zip(group, found, strict=True):
            nearest_codes(entry, bits, function)
        parts += [(network, function) for function in found]
    network = only_units(parts)
    files = project_files(network, Options())
    files[f"{PROJECT}/{BENCH}"] = bench(network, Options(), files[UNITS]).encode()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    compile_bench(network, Options(), folder / PROJECT, folder / "bench")
    rung = check_units(network, folder / PROJECT, folder / "bench")
    assert rung.result == "equal", rung.detail
    assert rung.samples >= len(entries) << bits


def nearest_codes(entry: CatalogueEntry, bits: int, function: HlsFunction) -> None:
    """Golden has the nearest code of the output format at every input of the function."""
    source, target = formats(entry, bits)
    values = reference(entry, source)
    right = np.clip(values / target.ulp, target.low, target.high)
    (own,) = {id(each): each for each in function.functions}.values()
    # sums of codes that are counted from zero: but for the identity their weights' sum is zero
    zero = -source.low if bits == 8 else 1 << 15
    found = own.evaluate(source.codes() + zero * int(first_weights(entry, bits).sum(axis=0)[0]))
    inside = np.isfinite(values)
    # codes are counted from another zero, and where few occur, in larger steps
    low, high = np.rint(right[inside]).min(), np.rint(right[inside]).max()
    first, last = found[inside].min(), found[inside].max()
    step = 1 if high == low else (high - low) / (last - first)
    assert step == int(step)
    found = (found - first) * int(step) + low
    assert np.abs(found - right)[inside].max() <= 0.5 + 1e-3, entry.name


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(("bits", "every"), [(8, 1), (12, 16)])
def test_units_of_functions(bits: int, every: int, tmp_path: Path) -> None:
    check(CATALOGUE[::every], bits, tmp_path)


# --- the kept results of whole networks


def test_every_function_is_exact_and_at_least_as_near_as_hls4mls_own() -> None:
    rows = benchmark.load()
    assert set(rows) == {(entry.name, bits) for entry in CATALOGUE for bits in (8, 12)}
    assert all(row["equal"] for row in rows.values())
    compared = list(benchmark.compared(rows))
    assert len({row["function"] for row, _ in compared}) >= 30
    assert [row["function"] for row, good in compared if not good] == []
    for (name, bits), row in rows.items():
        # each of four activations at least once on every code
        assert row["checked"] >= 1 << bits, name


def test_the_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "hls4ml-functions.md").read_text("utf-8")
    again = "run python benchmarks/hls4ml_functions.py --page"
    assert written == benchmark.page(benchmark.load()), again


@pytest.mark.slow
@needs_gxx
@needs_hls4ml
@pytest.mark.parametrize(
    ("name", "bits", "target"),
    [
        ("GELU", 8, "hls4ml"),
        ("Mish", 12, "hls4ml:vivado,io=stream"),
        ("HardSwish", 8, "hls4ml:quartus"),
    ],
)
def test_networks_again(name: str, bits: int, target: str) -> None:
    kept = benchmark.load()[name, bits]
    found = benchmark.measured(name, bits, target)
    # layers are chosen by cost, and may change
    for key in ("function", "bits", "input", "output", "samples", "equal"):
        assert found[key] == kept[key], key
    assert found["max_error"] == pytest.approx(kept["max_error"], rel=1e-9)


@needs_hls4ml
def test_what_hls4ml_converts(tmp_path: Path) -> None:
    assert stock.spelling_of(find("SiLU"), tmp_path)[0] is not None
    spelling, problem = stock.spelling_of(find("Erf"), tmp_path)
    assert spelling is None
    assert problem == "Unsupported operation type: Erf"


@pytest.mark.parametrize("entry", CATALOGUE, ids=[entry.name for entry in CATALOGUE])
def test_functions_as_operators(entry: CatalogueEntry) -> None:
    """What is compared is the function: its operators in onnxruntime are near its definition."""
    x = formats(entry, 12)[0].values()
    x = x[np.isfinite(reference(entry, formats(entry, 12)[0]))]
    for native in (False, True):
        graph = Graph()
        made = write_function(graph, entry, Traced(graph, "x"), native=native)
        graph.node("Identity", made)
        model = one_function(graph)
        found = ort(model, {"x": x.astype(np.float32)})["y"]
        right = entry.function()(x)
        with np.errstate(over="ignore"):
            np.testing.assert_allclose(found, right.astype(np.float32), rtol=1e-4, atol=1e-4)


def one_function(graph: Graph) -> onnx.ModelProto:
    """The model of a graph whose last node gives the output."""
    graph.nodes[-1].output[0] = "y"
    kind = onnx.TensorProto.FLOAT
    ends = [onnx.helper.make_tensor_value_info(name, kind, ["N"]) for name in ("x", "y")]
    made = onnx.helper.make_graph(graph.nodes, "f", ends[:1], ends[1:], graph.constants)
    opsets = [onnx.helper.make_opsetid("", OPSET)]
    return onnx.helper.make_model(made, opset_imports=opsets, ir_version=10)
