"""What coverage-guided fuzzing feeds: readers of files and texts that come from anywhere.

A target takes bytes. Whatever they are, it may only end well or with a coded diagnostic.
"""

from __future__ import annotations

import itertools
import json
import random
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import actc
from actc.approx.expression import parse_expression, parse_number
from actc.config import read_config
from actc.data import InputInfo
from actc.data import load as load_data
from actc.errors import ActcError, ExitStatus, UsageError
from actc.function_names import resolve
from actc.ir.load import load
from actc.output import MANIFEST
from actc.recorded import read_manifest
from actc.rms_fitting import read_weights
from actc.structured_fitting import names_structured
from actc.targets.fpga.boards import load as boards
from actc.verifying import CERTIFICATES
from fuzz.brute import false_claims
from fuzz.mutated_arrays import mutated_arrays
from fuzz.mutated_json import certificates, mutated_json
from fuzz.mutated_onnx import mutated_onnx

Mutate = Callable[[bytes, random.Random], bytes | None]
SEEDS = Path(__file__).parent / "corpus_guided"
"""A folder per target: small valid inputs, and inputs that once broke something."""
_MODELS = Path(__file__).parent.parent / "corpus"


class BrokenPromise(Exception):
    """An input was taken though its claim is false, or means two things at once."""


@dataclass(frozen=True)
class Target:
    """A reader.

    Attributes:
        name: a word; that of the folder of its seeds.
        read: what reads bytes.
        mutate: how its inputs are changed besides byte by byte; None for not at all.
        most: bytes of the longest inputs.
        others: further seeds, as files of the tests.
    """

    name: str
    read: Callable[[bytes], object]
    mutate: Mutate | None = None
    most: int = 16384
    others: tuple[Path, ...] = ()

    def check(self, data: bytes) -> str:
        """Read `data`; the code of the diagnostic that refuses it, "" if it is taken.

        Raises:
            Exception: anything but a coded diagnostic: a finding.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                self.read(data)
            except ActcError as error:
                if error.status == ExitStatus.INTERNAL:
                    raise
                return error.diagnostics[0].code
        return ""

    def seeds(self) -> list[Path]:
        """Files to begin with."""
        small = [path for path in self.others if path.stat().st_size <= self.most]
        return sorted((SEEDS / self.name).iterdir()) + small


def _model(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        path.write_bytes(data)
        load(path)


def _expression(data: bytes) -> None:
    """A text that is an expression must stay the same one when it is written out and read."""
    source = data.decode("utf-8", "surrogateescape")
    names_structured(source)
    try:
        value = parse_number(source)
    except UsageError:
        pass
    else:
        if not np.isfinite(value):
            raise BrokenPromise(f"the number is {value}")
    expression = parse_expression(source)
    again = parse_expression(str(expression))
    x = np.array([-1e308, -3.0, -0.5, -0.0, 0.0, 1e-320, 0.7, 2.0, 1e10, np.inf])
    with np.errstate(all="ignore"):
        one, other = expression(x), again(x)
    if str(again) != str(expression) or not np.array_equal(one, other, equal_nan=True):
        raise BrokenPromise(f"{source!r} is not {str(expression)!r}")


def _certificate(data: bytes) -> None:
    """A certificate that is taken must hold for every input."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, CERTIFICATES)
        path.write_bytes(data)
        found = actc.verify(path)
    json.dumps(found, allow_nan=False)
    if not found["holds"] or any(row["id"] for row in found["certificates"]):
        return
    document = json.loads(data)
    inner = certificates(document) or [document]
    for certificate in inner:
        problems = false_claims(certificate, resolve(certificate["function"]))
        if problems:
            raise BrokenPromise("; ".join(problems))


def _config(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "actc.toml")
        path.write_bytes(data)
        read_config(path)


_INPUTS = (
    [InputInfo("x", np.dtype(np.float32), (None, 3))],
    [InputInfo("x", np.dtype(np.float16), (4, None), 1)],
    [
        InputInfo("x", np.dtype(np.float32), (None, None)),
        InputInfo("y", np.dtype(np.int64), (None, None, 2)),
    ],
)


def _data(data: bytes) -> None:
    """Data of some networks' inputs, and weights of `actc fit`; the last refusal is raised."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data.npz")
        path.write_bytes(data)
        refused: ActcError | None = None
        for inputs, any_real in itertools.product(_INPUTS, (False, True)):
            try:
                list(load_data(path, inputs, any_real).batches())
            except UsageError as error:
                refused = error
        try:
            read_weights(path)
        except UsageError as error:
            refused = error
        if refused is not None:
            raise refused


def _manifest(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, MANIFEST)
        path.write_bytes(data)
        read_manifest(path)


def _board(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "board.toml")
        path.write_bytes(data)
        boards.find_board(str(path))


def targets() -> dict[str, Target]:
    """All targets by name."""
    models = (*sorted(_MODELS.glob("models/*.onnx")), *sorted(_MODELS.glob("qonnx/*.onnx")))
    described = tuple(sorted((Path(boards.__file__).parent / "data").glob("*.toml")))
    listed = (
        Target("model", _model, mutated_onnx, others=models),
        Target("expression", _expression, most=400),
        Target("certificate", _certificate, mutated_json),
        Target("config", _config, most=2000),
        Target("data", _data, mutated_arrays, most=8000),
        Target("manifest", _manifest, mutated_json),
        Target("board", _board, most=6000, others=described),
    )
    return {target.name: target for target in listed}
