"""The target c: every kernel on the host, with sanitizers, bit for bit as golden."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from c_networks import NETWORKS, Network
from golden_models import Golden, outputs_of
from installed import needs_clang, needs_gcc

from actc import toolchain
from actc.errors import MissingTool, ModelError, ToolFailed, UsageError
from actc.ir import spec
from actc.targets import executed
from actc.targets.c import CTarget, host
from actc.targets.c.kernels import FORMS
from actc.targets.c.program import examine, program_of
from actc.targets.tvm.kernels.instance_spec import InstanceSteps

Array = np.ndarray[Any, Any]
STRICT = (
    *("-std=c99", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion"),
    *("-Wshadow", "-Wcast-qual", "-Wcast-align=strict", "-Wundef", "-Wvla", "-Werror"),
    *("-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
)


def written(model: ir.Model, folder: Path, target: CTarget | None = None) -> Path:
    """The files of a plan, not compiled."""
    for name, content in (target or CTarget()).plan(model, "int8").files.items():
        (folder / name).write_bytes(content)
    return folder


def sanitized(folder: Path, feeds: dict[str, Array], compiler: str = "gcc") -> dict[str, Array]:
    """What the code gives, compiled with all warnings and sanitizers."""
    signature = json.loads((folder / host.SIGNATURE).read_text("utf-8"))
    flags = [flag for flag in STRICT if compiler == "gcc" or not flag.endswith("=strict")]
    command = host.compile_command(signature["name"], "strict", flags)
    toolchain.run([compiler, *command[1:]], timeout=120, cwd=folder)
    arrays = [feeds[item["name"]] for item in signature["inputs"]]
    return host.execute((str(folder / "strict"),), arrays, signature["outputs"])


def compare(model: ir.Model, got: dict[str, Array], feeds: dict[str, Array]) -> None:
    wanted = outputs_of(model, feeds)
    specified = spec.run(ir.serde.serialize_model(model), feeds)
    assert list(got) == list(wanted)
    for name, array in wanted.items():
        assert got[name].dtype == array.dtype
        assert np.unique(array).size > 2 or len(array) == 1, "the test model saturates"
        np.testing.assert_array_equal(got[name], array)
        np.testing.assert_array_equal(got[name], specified[name])


@needs_gcc
@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_equal_golden_under_sanitizers(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    feeds = network.feeds(5)
    got = sanitized(written(network.model, tmp_path), feeds)
    for name, array in outputs_of(network.model, feeds).items():
        np.testing.assert_array_equal(got[name], array)
    for name, array in spec.run(ir.serde.serialize_model(network.model), feeds).items():
        np.testing.assert_array_equal(got[name], array)


BY_CLANG = ("convolutions", "attention", "signs")
"""Networks of most kernels; the others take clang's time in the long run only."""


@needs_clang
@pytest.mark.parametrize(
    "name",
    [n if n in BY_CLANG else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS],
)
def test_clang_takes_it_too(name: str, tmp_path: Path) -> None:
    network = NETWORKS[name]()
    feeds = network.feeds(5)
    got = sanitized(written(network.model, tmp_path), feeds, "clang")
    for output, array in outputs_of(network.model, feeds).items():
        np.testing.assert_array_equal(got[output], array)


def test_the_networks_use_every_kernel() -> None:
    used = set()
    for make in NETWORKS.values():
        plan, diagnostics = examine(make().model)
        assert diagnostics == []
        used |= {type(call.kernel) for call in program_of(plan).calls}
    assert used == set(FORMS) - {InstanceSteps}  # which tests/test_target_c_compile.py has


@needs_gcc
def test_optimized_code_equals_golden(tmp_path: Path) -> None:
    network = NETWORKS["attention"]()
    target = CTarget()
    target.build(target.plan(network.model, "int8"), tmp_path)
    for samples in (1, 4):
        feeds = network.feeds(samples)
        got = target.run(tmp_path, feeds)
        for name, array in outputs_of(network.model, feeds).items():
            np.testing.assert_array_equal(got[name], array)


@needs_gcc
def test_infinities_and_what_is_no_number_are_quantized_as_golden_does(tmp_path: Path) -> None:
    g = Golden()
    x = g.input("x", 6)
    rows = np.array([[np.nan, np.inf, -np.inf, -0.0, 1e-45, 3e38], [0.5, 1.5, 2.5, -0.5, -1.5, 9]])
    model = g.model(g.table(g.quantize(x, 1.0, 100)), g.quantize(x, 0.3, 7))  # two quantizers
    feeds = {"x": rows.astype(np.float32)}
    got = sanitized(written(model, tmp_path), feeds)
    for name, array in outputs_of(model, feeds).items():
        np.testing.assert_array_equal(got[name], array)
    assert "const uint32_t *in_x" in (tmp_path / "model.h").read_text("ascii")


@needs_gcc
def test_an_output_may_be_given_twice_and_an_input_unchanged(tmp_path: Path) -> None:
    g = Golden()
    x = g.quantize(g.input("x", 9))
    y = g.table(x)
    model = g.model(y, g.node("Identity", y), x, g.dequantize(y, zero=np.uint8(3)))
    feeds = {"x": np.linspace(-9, 9, 27, dtype=np.float32).reshape(3, 9)}
    compare(model, sanitized(written(model, tmp_path), feeds), feeds)


@needs_gcc
def test_a_wrong_weight_and_a_wrong_offset_are_seen(tmp_path: Path) -> None:
    """The comparison can fail: one weight, and one buffer that overlaps another."""
    network = NETWORKS["convolutions"]()
    feeds, target = network.feeds(2), CTarget()
    target.build(target.plan(network.model, "int8"), tmp_path)
    compare(network.model, target.run(tmp_path, feeds), feeds)
    source = (tmp_path / "model.c").read_text("ascii")
    for old, new in (("\n    -", "\n    "), ("(uint8_t *)&arena[486]", "(uint8_t *)&arena[40]")):
        assert old in source
        (tmp_path / "model.c").write_text(source.replace(old, new, 3), "ascii")
        with pytest.raises(AssertionError):
            compare(network.model, target.run(tmp_path, feeds), feeds)


def test_two_plans_are_equal_and_name_no_paths() -> None:
    first, second = (CTarget().plan(NETWORKS["gates"]().model, "int8") for _ in range(2))
    assert first.files == second.files
    assert first.digest() == second.digest()
    for content in first.files.values():
        assert str(Path.home()).encode() + b"/" not in content
    assert sorted(first.files) == [
        "golden.onnx", "main.c", "memory.json", "memory.txt", "model.c", "model.h",
        "signature.json",
    ]  # fmt: skip


def test_the_code_uses_no_float_no_library_and_no_recursion() -> None:
    for make in NETWORKS.values():
        files = CTarget().plan(make().model, "int8").files
        source = files["model.c"].decode("ascii").split("#ifdef MODEL_FLOAT")[0]
        lines = [line for line in source.splitlines() if not line.startswith((" *", "/*", "   "))]
        assert not {"float", "double"} & set(" ".join(lines).replace("(", " ").split())
        assert [line for line in lines if line.startswith("#include")] == [
            '#include "model.h"',
            "#include <stddef.h>",
            "#include <arm_mve.h>",
            "#include <arm_acle.h>",
        ]


@needs_gcc
def test_names_of_the_model_reach_c_as_names_alone(tmp_path: Path) -> None:
    g = Golden()
    x = g.quantize(g.input("int */ x\\\n#error", 4))
    y = g.table(x)
    g.nodes[-1].name = "*/ #error \\"
    g.nodes[-1].output[0] = "out*/;exit(1);//"
    model = g.model("out*/;exit(1);//", g.dequantize(x, zero=np.uint8(3)))
    feeds = {"int */ x\\\n#error": np.linspace(-3, 3, 8, dtype=np.float32).reshape(2, 4)}
    target = CTarget.parse("name=keywords")
    got = sanitized(written(model, tmp_path, target), feeds)
    compare(model, got, feeds)
    header = (tmp_path / "keywords.h").read_text("ascii")
    assert "keywords_run(const uint8_t *in_int_x_error, uint8_t *out_out_exit_1," in header
    assert y


@needs_gcc
def test_the_arena_may_be_the_callers(tmp_path: Path) -> None:
    network = NETWORKS["convolutions"]()
    folder = written(network.model, tmp_path)
    own = "#include <stdint.h>\nextern uint32_t pool[];\nuint32_t pool[MODEL_ARENA_WORDS];\n"
    (folder / "pool.c").write_text('#include "model.h"\n' + own, "ascii")
    command = [*host.compile_command("model", "own", STRICT), "-DMODEL_ARENA=pool", "pool.c"]
    toolchain.run(command, timeout=120, cwd=folder)
    feeds = network.feeds(2)
    outputs = json.loads((folder / host.SIGNATURE).read_text("utf-8"))["outputs"]
    got = host.execute((str(folder / "own"),), list(feeds.values()), outputs)
    compare(network.model, got, feeds)


@needs_gcc
def test_codes_go_in_and_out_without_float(tmp_path: Path) -> None:
    network = NETWORKS["convolutions"]()
    folder = written(network.model, tmp_path)
    toolchain.run(["gcc", *STRICT, "model.c", "main.c", "-o", "codes"], timeout=120, cwd=folder)
    feeds = network.feeds(3)
    (x,) = feeds.values()
    codes = np.clip(np.rint(x / np.float32(0.05)) + 117, 0, 255).astype(np.uint8)
    (entry,) = json.loads((folder / host.SIGNATURE).read_text("utf-8"))["outputs"]
    raw = host.execute((str(folder / "codes"),), [codes], [{**entry, "dtype": entry["codes"]}])
    scale = np.array(entry["scale"], np.float32)
    (found,) = raw.values()
    real = (found - entry["zero_point"]).astype(np.float32) * scale
    np.testing.assert_array_equal(real, outputs_of(network.model, feeds)[entry["name"]])


def test_what_has_no_kernel_is_refused_all_at_once() -> None:
    g = Golden()
    x = g.quantize(g.input("x", 4, 3))
    odd = g.node("Transpose", x, perm=[1, 0, 2])
    fine = g.node("ArgMax", x, axis=1)
    diagnostics = CTarget().validate(g.model(odd, fine), "int8")
    assert len(diagnostics) == 2
    assert all(d.place.node and d.help is not None for d in diagnostics if d.place)
    with pytest.raises(ModelError):
        CTarget().plan(g.model(odd, fine), "int8")


def test_a_kernel_without_a_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from actc.targets.c import kernels

    network = NETWORKS["convolutions"]()
    some = {kind: form for kind, form in FORMS.items() if kind.__name__ != "ConvSpec"}
    monkeypatch.setattr(kernels, "FORMS", some)
    found = CTarget().validate(network.model, "int8")
    assert [d.code for d in found] == ["ACT0472"] * len(found)
    assert len(found) > 3


@pytest.mark.parametrize("option", ["name=Model", "name=int", "name=a__b", "seconds=x", "speed=1"])
def test_wrong_options_are_explained(option: str) -> None:
    with pytest.raises(UsageError) as caught:
        CTarget.parse(option)
    assert [d.code for d in caught.value.diagnostics] == ["ACT0473"]


def test_options_are_in_the_specification() -> None:
    assert CTarget.parse("").spec == "c"
    assert CTarget.parse("seconds=5,name=kws").spec == "c:name=kws,seconds=5"


@needs_gcc
def test_what_is_missing_or_broken_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = NETWORKS["convolutions"]()
    target, feeds = CTarget(), network.feeds(1)
    with pytest.raises(UsageError, match=r"no C code"):
        target.run(tmp_path, feeds)
    target.build(target.plan(network.model, "int8"), tmp_path)
    with pytest.raises(UsageError, match="image"):
        target.run(tmp_path, {})
    main = (tmp_path / "main.c").read_text("ascii")
    (tmp_path / "main.c").write_text(main.replace("fwrite(", "0 * fwrite("), "ascii")
    with pytest.raises(ToolFailed):
        target.run(tmp_path, feeds)
    (tmp_path / "model.c").unlink()
    with pytest.raises(UsageError, match=r"model\.c"):
        target.run(tmp_path, feeds)
    monkeypatch.setenv("ACTC_GCC", str(tmp_path / "nothing"))
    with pytest.raises(MissingTool):
        target.build(target.plan(network.model, "int8"), tmp_path)


def test_short_results_are_no_results() -> None:
    outputs = [{"name": "y", "shape": [1, 3], "dtype": "uint8"}]
    with pytest.raises(ToolFailed, match="5 bytes instead of 6"):
        executed.unpacked(b"12345", 2, outputs)
    assert isinstance(NETWORKS["gates"](), Network)
