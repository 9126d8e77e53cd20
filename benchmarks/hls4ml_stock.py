"""hls4ml's own functions: which of the catalogue it converts, and their errors in its C++.

A model with one function each tells what it converts. Those that it does are converted again
together, with one output each, compiled by hls4ml itself, and run on every input of a format.
Tables and all else are as hls4ml has them by default, but for inputs and outputs: these have the
formats of the comparison, and outputs are rounded to the nearest and saturate. What lies between
two operators has, in turn, the type that hls4ml infers and 32 bits; the smaller error counts.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from catalogue_mlp import formats, reference
from catalogue_onnx import NATIVE, OPSET, Graph, Traced, write_function
from onnx import TensorProto, helper, numpy_helper, shape_inference

from actc.approx.catalogue import CatalogueEntry, find
from actc.approx.fixed_point import FixedPoint

Array = np.ndarray[Any, Any]
WIDTH = 4
TOGETHER = 8
"""Functions in one program."""
BETWEEN = ("inferred", "fixed<32,16,RND,SAT>")
"""Types between operators."""


@dataclass(frozen=True)
class Spelling:
    """A function as ONNX operators.

    Attributes:
        native: as one operator of ONNX.
    """

    entry: CatalogueEntry
    native: bool


def model_of(spellings: Sequence[Spelling]) -> onnx.ModelProto:
    """x [1, 4] -> an output for each function.

    hls4ml wants a declared shape of every constant, and takes those of the shape of what they
    are combined with.
    """
    graph = Graph()
    outputs = []
    for number, spelling in enumerate(spellings):
        made = write_function(graph, spelling.entry, Traced(graph, "x"), native=spelling.native)
        if made.name == "x":
            raise ValueError("no operator")
        outputs.append(f"y{number}")
        graph.nodes[-1].output[0] = outputs[-1]
    arrays = {c.name: np.broadcast_to(numpy_helper.to_array(c), WIDTH) for c in graph.constants}
    kind = TensorProto.FLOAT
    shapes = [helper.make_tensor_value_info(name, kind, [WIDTH]) for name in arrays]
    made_graph = helper.make_graph(
        graph.nodes, "functions",
        [helper.make_tensor_value_info("x", kind, [1, WIDTH])],
        [helper.make_tensor_value_info(name, kind, [1, WIDTH]) for name in outputs],
        [numpy_helper.from_array(np.array(array), name) for name, array in arrays.items()],
        value_info=shapes,
    )  # fmt: skip
    opsets = [helper.make_opsetid("", OPSET)]
    return shape_inference.infer_shapes(
        helper.make_model(made_graph, opset_imports=opsets, ir_version=10)
    )


def converted(
    spellings: Sequence[Spelling], source: str, folder: Path, project: str = "stock"
) -> Any:
    """hls4ml's model of the functions, whose input has the type `source`."""
    import hls4ml

    model = model_of(spellings)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        config = hls4ml.utils.config_from_onnx_model(model, granularity="name", backend="Vitis")
        config["LayerName"]["x"]["Precision"]["result"] = source
        return hls4ml.converters.convert_from_onnx_model(
            model, output_dir=str(folder), project_name=project, backend="Vitis", hls_config=config
        )


def spelling_of(entry: CatalogueEntry, folder: Path) -> tuple[Spelling | None, str]:
    """How hls4ml converts a function; or why it does not, in its words."""
    problem = ""
    for native in (True, False) if entry.name in NATIVE else (False,):
        spelling = Spelling(entry, native)
        try:
            converted([spelling], "fixed<8,4>", folder)
        except Exception as error:
            problem = problem or str(error).splitlines()[0].removeprefix("ERROR: ").split(" <")[0]
        else:
            return spelling, ""
    return None, problem


def type_of(format: FixedPoint, more: str = "") -> str:
    """hls4ml's name of a format."""
    sign = "" if format.signed else "u"
    return f"{sign}fixed<{format.bits},{format.bits - format.fraction}{more}>"


def errors(
    spellings: Sequence[Spelling], bits: int, folder: Path
) -> Iterator[tuple[str, float | None]]:
    """Functions, with their largest error over all inputs; None: the C++ does not compile."""
    for first in range(0, len(spellings), TOGETHER):
        yield from _errors(spellings[first : first + TOGETHER], bits, folder / str(first))


def _errors(
    group: Sequence[Spelling], bits: int, folder: Path
) -> Iterator[tuple[str, float | None]]:
    try:
        found = [_run(group, bits, between, folder) for between in BETWEEN]
    except Exception as error:
        if "compile" not in str(error):
            raise
        if len(group) == 1:
            yield group[0].entry.name, None
            return
        half = len(group) // 2
        yield from _errors(group[:half], bits, folder / "a")
        yield from _errors(group[half:], bits, folder / "b")
        return
    source = formats(group[0].entry, bits)[0]
    for number, spelling in enumerate(group):
        right = reference(spelling.entry, source)
        inside = np.isfinite(right)
        each = [np.abs(made[number] - right)[inside].max() for made in found]
        yield spelling.entry.name, float(min(each))


def _run(spellings: Sequence[Spelling], bits: int, between: str, folder: Path) -> list[Array]:
    """What each function gives for every code."""
    from hls4ml.backends.fpga.fpga_types import APTypeConverter
    from hls4ml.model.types import FixedPrecisionType, RoundingMode, SaturationMode

    source = formats(spellings[0].entry, bits)[0]
    kind = between.split("<")[0]
    model = converted(spellings, type_of(source), folder / f"{bits}{kind}", f"stock_{kind}")
    convert = APTypeConverter()

    def fixed(width: int, integer: int, signed: bool) -> Any:
        kind = FixedPrecisionType(width, integer, signed, RoundingMode.RND, SaturationMode.SAT)
        return convert.convert(kind)

    outputs = {variable.name: variable for variable in model.get_output_variables()}
    for layer in model.get_layers():
        variable = layer.get_output_variable()
        if variable.name not in outputs and layer.class_name != "Input" and between != BETWEEN[0]:
            variable.type.precision = fixed(32, 16, True)
    for variable, spelling in zip(model.get_output_variables(), spellings, strict=True):
        target = formats(spelling.entry, bits)[1]
        variable.type.precision = fixed(bits, bits - target.fraction, target.signed)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        model.compile()
    values = source.values().astype(np.float32)
    given = np.ascontiguousarray(values.reshape(-1, WIDTH))
    found = model.predict(given)
    every = found if isinstance(found, list) else [found]
    return [np.asarray(one, np.float64).reshape(-1) for one in every]


def stock_rows(names: Sequence[str], bits: Sequence[int], folder: Path) -> list[dict[str, Any]]:
    """A row for each function and width: its error, or why hls4ml does not convert it."""
    rows: list[dict[str, Any]] = []
    taken = []
    for name in names:
        spelling, problem = spelling_of(find(name), folder / "try")
        if spelling is None:
            rows += [{"function": name, "bits": n, "problem": problem} for n in bits]
        else:
            taken.append(spelling)
    for n in bits:
        for name, error in errors(taken, n, folder):
            problem = "its C++ does not compile"
            found = {"problem": problem} if error is None else {"max_error": error}
            rows.append({"function": name, "bits": n, **found})
    return rows
