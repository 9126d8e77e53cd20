"""The cpu target without TVM: plans, diagnostics, memory layouts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from golden_models import Golden, conv_net
from onnx import helper

from actc.errors import ModelError
from actc.targets.tvm import CpuTarget
from actc.targets.tvm.kernels.spec import padded
from actc.targets.tvm.layout import Tensor, reshaped, transposed
from actc.targets.tvm.lower import examine, kernel_plan

Array = np.ndarray[Any, Any]


def test_a_plan_is_a_value_and_needs_no_tvm(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] == 'tvm': raise ModuleNotFoundError(name, name='tvm')\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "import importlib.util\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, p=None: None if n == 'tvm' else real(n, p)\n"
        "import onnx_ir as ir\n"
        "from pathlib import Path\n"
        "from actc.errors import MissingTool\n"
        "from actc.targets.tvm import CpuTarget\n"
        "target = CpuTarget.parse('')\n"
        "model = ir.load(sys.argv[1])\n"
        "assert target.spec == 'cpu' and target.capabilities().tools\n"
        "assert target.validate(model, 'int8') == []\n"
        "plan = target.plan(model, 'int8')\n"
        "assert plan.digest() == target.plan(model, 'int8').digest()\n"
        "try:\n"
        "    target.build(plan, Path('nowhere'))\n"
        "except MissingTool as error:\n"
        "    print(error)\n"
    )
    path = tmp_path / "golden.onnx"
    ir.save(conv_net(), path)
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert not (tmp_path / "nowhere").exists()
    assert done.returncode == 0, done.stderr
    assert "ACT0503" in done.stdout
    assert "pip install 'actc[tvm]'" in done.stdout


def test_what_follows_an_accumulator_is_fused() -> None:
    calls = kernel_plan(conv_net(), "int8").calls
    kinds = [type(call.kernel).__name__ for call in calls]
    assert kinds == [
        "Elementwise",
        *["ConvSpec"] * 4,
        "Reduce",
        "ConvSpec",
        "Elementwise",
    ]
    assert calls[1].kernel.epilogue.kind == "requantize+table"  # type: ignore[union-attr]
    assert calls[4].kernel.residual is not None  # type: ignore[union-attr]


def test_the_plan_names_its_files() -> None:
    plan = CpuTarget("znver4").plan(conv_net(), "int8")
    assert plan.target == "cpu:znver4"
    examples = ["run.cpp", "run.py"]
    assert sorted(plan.files) == ["golden.onnx", "kernels.txt", *examples, "signature.json"]
    assert plan.commands[0][0] == "g++"
    signature = json.loads(plan.files["signature.json"])
    assert signature["inputs"] == [
        {"name": "image", "dtype": "float32", "shape": [None, 3, 17, 18]}
    ]
    assert signature["outputs"][0]["shape"] == [None, 10]


def test_all_problems_are_reported_at_once() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 4, 6, 6))
    moved = g.node("Transpose", x, perm=[1, 0, 2, 3])
    odd = g.node("Celu", g.dequantize(x, zero=np.uint8(3)))
    merged = g.node("Reshape", x, g.const(np.array([-1, 9])))
    fine = g.table(x)
    hidden = g.node("Flatten", moved)
    diagnostics = CpuTarget().validate(g.model(odd, merged, fine, hidden), "int8")
    assert [(d.code, d.place.op) for d in diagnostics] == [
        ("ACT0401", "Transpose"),
        ("ACT0401", "Celu"),
        ("ACT0401", "Reshape"),
    ]
    assert all(d.place.node and d.message for d in diagnostics)
    with pytest.raises(ModelError):
        kernel_plan(g.model(odd, merged, fine, hidden), "int8")


def test_a_symbolic_axis_other_than_the_batch_is_refused() -> None:
    g = Golden()
    g.inputs.append(helper.make_tensor_value_info("x", 1, ["n", 3, "h", 8]))
    diagnostics = CpuTarget().validate(g.model(g.quantize("x")), "int8")
    assert [d.code for d in diagnostics] == ["ACT0402"]


def test_an_accumulator_beyond_32_bits_is_refused() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 70_000))
    weight = np.full((70_000, 1), 127, np.int8)
    rest = (weight, np.zeros(1, np.int32), np.uint8(0))
    model = g.model(g.actc("IntMatMul", x, *map(g.const, rest)))
    assert [d.code for d in CpuTarget().validate(model, "int8")] == ["ACT0404"]


def test_views_move_no_element() -> None:
    rng = np.random.default_rng(7)
    seen = 0
    for _ in range(400):
        shape = (1, *(int(e) for e in rng.choice([1, 2, 3, 4, 6], int(rng.integers(1, 4)))))
        axes = tuple(int(a) for a in rng.permutation(np.arange(1, len(shape))))
        lanes = padded(shape[axes[-1]]) if rng.random() < 0.6 else shape[axes[-1]]
        tensor = Tensor("x", "uint8", shape, axes, lanes)
        values = np.arange(np.prod(shape)).reshape(shape)
        perm = [0, *(int(a) for a in rng.permutation(np.arange(1, len(shape))))]
        turned = transposed(tensor, "y", perm)
        assert memory(turned, values.transpose(perm)) == memory(tensor, values)
        target = _regrouped(rng, shape)
        view = reshaped(tensor, "y", target)
        if view is not None:
            seen += 1
            assert sorted(view.axes) == list(range(1, len(target)))
            assert memory(view, values.reshape(target)) == memory(tensor, values)
        elif lanes == shape[axes[-1]]:
            assert axes != tuple(range(1, len(shape))), "row-major memory takes any shape"
    assert seen > 100


def _regrouped(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Another shape of as many elements: neighbours merged, ones put in."""
    target = [int(shape[1])]
    for extent in shape[2:]:
        if rng.random() < 0.3:
            target[-1] *= int(extent)
        else:
            target.append(int(extent))
    if rng.random() < 0.5:
        target.insert(int(rng.integers(0, len(target) + 1)), 1)
    return (1, *target)


def memory(tensor: Tensor, values: Array) -> list[int]:
    """What lies at each place of one sample; -1 in padding."""
    found = np.full(tensor.size, -1)
    for index in np.ndindex(values.shape):
        place = sum(i * tensor.stride(a) for a, i in enumerate(index) if a)
        found[place] = values[index]
    return [int(v) for v in found]


def test_examine_reports_nothing_on_a_good_model() -> None:
    plan, diagnostics = examine(conv_net(), "int8")
    assert diagnostics == []
    assert "ConvSpec" in plan.text()
