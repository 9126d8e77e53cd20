"""Kernels in many pieces on several threads: every piece is there once, and no result depends
on the number of threads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import actc
from actc.targets.tvm.kernels.float_spec import Apply, ScalarFunction, Step, Value
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.spec import Epilogue
from actc.targets.tvm.kernels.strided import Elementwise

tvm = pytest.importorskip("tvm", reason="needs the tvm extra: pip install 'actc[tvm]'")

from test_cpu_kernels import HOST, SPECS, TABLE, Case, check, compiled, spec  # noqa: E402

from actc.targets.tvm.kernels import conv_cut, elementwise, parallel  # noqa: E402

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MANY = {
    "many-groups": spec((3, 5, 12), 600, (3, 3), pads=(1, 1, 1, 1)),
    "long-row": spec((1, 400, 6), 20, (1, 5), pads=(0, 2, 0, 2)),
    "pixels-of-samples": spec((2, 3, 20), 500, batch=None),
    "accumulators": spec((9, 7, 8), 40, (3, 3), (2, 1), epilogue=Epilogue("accumulator")),
}


@pytest.fixture(params=[0, 1 << 40], ids=["by-channels", "by-rows"])
def tiny_pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut everything as far as it goes."""
    monkeypatch.setattr(parallel, "LEAST_WORK", 1)
    monkeypatch.setattr(parallel, "TASK_WORK", 1)
    monkeypatch.setattr(conv_cut, "_LARGE_WEIGHTS", request.param)
    compiled.cache_clear()
    yield
    compiled.cache_clear()


@pytest.mark.usefixtures("tiny_pieces")
@pytest.mark.parametrize("name", [*MANY, *list(SPECS)[::3]])
def test_convolutions_in_many_pieces(name: str) -> None:
    conv = MANY.get(name) or SPECS[name]
    check(Case.random(conv, conv.batch or 5), HOST)


def test_pieces_are_many_where_there_is_work() -> None:
    work = parallel.TASK_WORK
    assert parallel.task_count(work * 100, 64) == parallel.MOST_TASKS
    assert parallel.task_count(work * 3, 64) == 3
    assert parallel.task_count(parallel.LEAST_WORK, 64) == 2
    assert parallel.task_count(parallel.LEAST_WORK - 1, 64) == 1


def test_a_batch_known_at_the_call_chooses_between_loops() -> None:
    conv = spec((6, 6, 16), 16, (3, 3), pads=(1, 1, 1, 1), batch=None, epilogue=TABLE)
    for batch in (1, 40):
        check(Case.random(conv, batch), HOST)


@pytest.mark.parametrize(("dims", "batch"), [((9001,), 1), ((20000,), 3), ((3, 8209), 1)])
def test_long_loops_in_pieces(dims: tuple[int, ...], batch: int) -> None:
    size = int(np.prod(dims))
    strides = tuple(int(np.prod(dims[i + 1 :])) for i in range(len(dims)))
    operand = Operand("float32", dims, True, strides)
    double = Step("Add", (Value(0), Value(0)))
    spec = Elementwise(batch, dims, (operand,), operand, Apply(ScalarFunction(1, (double,))))
    assert elementwise._chunk(dims) > 0
    function = elementwise.elementwise_prim_func("f", spec, HOST)
    x = np.arange(batch * size, dtype=np.float32).reshape(batch, *dims)
    out = tvm.runtime.tensor(np.zeros_like(x))
    module = tvm.compile(tvm.IRModule({"f": function}), target=tvm.target.Target("llvm"))
    module["f"](tvm.runtime.tensor(x), out)
    np.testing.assert_array_equal(out.numpy(), x + x)


RUN = """
import sys, numpy as np
from pathlib import Path
from actc.targets.tvm import runtime
folder, out = map(Path, sys.argv[1:3])
np.savez(out, **runtime.load(folder)(dict(np.load(folder / "feeds.npz"))))
"""


def test_results_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    with np.load(EXAMPLES / "digits" / "digits.npz") as data:
        feeds = {name: array[:200] for name, array in data.items() if name != "labels"}
    few = {name: array[:4] for name, array in feeds.items()}
    model, folder = EXAMPLES / "digits" / "cnn.onnx", tmp_path / "out"
    actc.compile(model, target="cpu", data=few, output=folder, precision="float32")
    np.savez(folder / "feeds.npz", **feeds)
    results = []
    for threads in (1, 3):
        out = tmp_path / f"{threads}.npz"
        environment = {**os.environ, "TVM_NUM_THREADS": str(threads)}
        command = [sys.executable, "-c", RUN, str(folder), str(out)]
        subprocess.run(command, env=environment, check=True, timeout=120)
        with np.load(out) as found:
            results.append({name: found[name].tobytes() for name in found.files})
    assert results[0] == results[1]
