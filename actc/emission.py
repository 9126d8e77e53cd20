"""A fitted form as a file: an ONNX model, a Python module or C; files written all or none."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from actc.approx.pwl import PiecewiseLinear
from actc.approx.step_table import StepTable
from actc.diagnostics import Diagnostic, Place
from actc.emitters.c_float import write_c_lines
from actc.emitters.text import identifier
from actc.errors import UsageError
from actc.ir.dialect import DOMAIN, GOLDEN_OPSET, VERSION, function_proto
from actc.ir.load import IR_VERSION

Form = PiecewiseLinear | StepTable
EMITTED = ("onnx", "numpy", "c")

_MODULE = '''"""A scalar function in the form that `actc fit` found."""

import numpy as np

FUNCTION = {function}
DOMAIN = ({low}, {high})
MAX_ERROR = {error!r}
{arrays}


def evaluate(x):
    """Evaluate at real numbers x, any shape; float64."""
{body}
'''
_LINES_BODY = """    x = np.asarray(x, np.float64)
    segment = np.searchsorted(BREAKPOINTS, x, side="right")
    return SLOPES[segment] * x + INTERCEPTS[segment]"""
_TABLE_BODY = """    steps = np.rint(np.asarray(x, np.float32) / np.float32(SCALE))
    return VALUES[np.clip(steps + ZERO_POINT, 0, 255).astype(np.intp)]"""


def emit_lines(
    kind: str, form: Form, function: str, domain: tuple[float, float], error: float
) -> bytes:
    """A form as a file of one of the kinds :data:`EMITTED`."""
    emit = {"onnx": emit_onnx, "numpy": emit_numpy, "c": emit_c}[kind]
    return emit(form, function, domain, error)


def emit_onnx(form: Form, function: str, domain: tuple[float, float], error: float) -> bytes:
    """A model of one node, float32 x [n] -> y [n], with its body in standard operators.

    It runs in any ONNX runtime; the node is actc::PiecewiseLinear or
    actc::QuantizedTable.
    """
    if isinstance(form, StepTable):
        op, constants = "QuantizedTable", _table_constants(form)
    else:
        op, constants = "PiecewiseLinear", _line_constants(form, domain[0])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node(op, ["x", *constants], ["y"], name=op, domain=DOMAIN)],
        "fit",
        ends[:1],
        ends[1:],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(
        graph,
        functions=[function_proto(op)],
        opset_imports=[
            helper.make_opsetid("", GOLDEN_OPSET),
            helper.make_opsetid(DOMAIN, VERSION),
        ],
        ir_version=IR_VERSION,
        producer_name="actc",
    )
    facts = {"function": function, "low": domain[0], "high": domain[1], "max_error": error}
    helper.set_model_props(model, {f"actc.{key}": str(value) for key, value in facts.items()})
    onnx.checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def emit_numpy(form: Form, function: str, domain: tuple[float, float], error: float) -> bytes:
    """A Python module that needs numpy alone; its `evaluate` is the certified form."""
    if isinstance(form, StepTable):
        scalars = f"SCALE = {form.input.scale!r}\nZERO_POINT = {form.input.zero_point}\n"
        arrays, body = scalars + _array("VALUES", form.values), _TABLE_BODY
    else:
        named = (
            ("BREAKPOINTS", form.breakpoints),
            ("SLOPES", form.slopes),
            ("INTERCEPTS", form.intercepts),
        )
        arrays, body = "\n".join(_array(*item) for item in named), _LINES_BODY
    text = _MODULE.format(
        function=ascii(function),
        low=_number(domain[0]),
        high=_number(domain[1]),
        error=error,
        arrays=arrays,
        body=body,
    )
    return text.encode("ascii")


def emit_c(form: Form, function: str, domain: tuple[float, float], error: float) -> bytes:
    """A C99 function ``double name(float x)``, the certified form; named after `function`."""
    lines = form.form if isinstance(form, StepTable) else form
    return write_c_lines(lines, identifier(function), function, domain, error)


def _line_constants(form: PiecewiseLinear, low: float) -> dict[str, npt.NDArray[np.generic]]:
    arrays = (form.breakpoints, form.slopes, form.intercepts)
    if form.segments == 1:
        # onnxruntime cannot sum over the empty axis of no breakpoints: one line, twice
        low = low if math.isfinite(low) else 0.0
        arrays = (np.array([low]), form.slopes.repeat(2), form.intercepts.repeat(2))
    names = ("breakpoints", "slopes", "intercepts")
    return {name: array.astype(np.float32) for name, array in zip(names, arrays, strict=True)}


def _table_constants(form: StepTable) -> dict[str, npt.NDArray[np.generic]]:
    return {
        "scale": np.array(form.input.scale, np.float32),
        "zero": np.array(form.input.zero_point, np.uint8),
        "values": form.values,
    }


def _number(value: float) -> str:
    """A number as Python reads it, also an infinite one."""
    return repr(float(value)) if math.isfinite(value) else f'float("{value}")'


def _array(name: str, values: npt.NDArray[np.floating]) -> str:
    rows = "".join(f"        {float(value)!r},\n" for value in values)
    listed = f"[\n{rows}    ]" if rows else "[]"
    return f"{name} = np.array(\n    {listed},\n    np.float64,\n)"


def write_files(contents: Mapping[Path, bytes]) -> None:
    """Write every file or none: each beside its place first, then all are moved.

    Raises:
        UsageError: ACT0337, a place cannot be written.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            try:
                staged[path] = _write_beside(path, content)
            except OSError as error:
                raise _not_writable(path, error) from error
        for path in list(staged):
            try:
                staged[path].replace(path)
            except OSError as error:
                raise _not_writable(path, error) from error
            del staged[path]
    finally:
        for temporary in staged.values():
            temporary.unlink(missing_ok=True)


def require_place(path: Path) -> None:
    """See that a file can be written later, before long work.

    Raises:
        UsageError: ACT0337, it cannot.
    """
    try:
        _write_beside(path, b"").unlink()
    except OSError as error:
        raise _not_writable(path, error) from error


def _write_beside(path: Path, content: bytes) -> Path:
    if path.is_dir():
        raise IsADirectoryError(21, "it is a directory")
    if path.exists() and not path.is_file():  # a device would be replaced by a file
        raise FileExistsError(17, "it is no regular file")
    handle, name = tempfile.mkstemp(prefix=f".{path.name[:64]}.", dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    temporary = Path(name)
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(0o666 & ~mask)
    return temporary


def _not_writable(path: Path, error: OSError) -> UsageError:
    reason = (error.strerror or type(error).__name__).lower()
    return UsageError(
        Diagnostic(
            "ACT0337",
            f"cannot write the file: {reason}",
            place=Place(str(path)),
            help="give another place",
        )
    )
