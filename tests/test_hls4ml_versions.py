"""What the target hls4ml relies on in hls4ml, so that a newer one that breaks it is known at once.

A failure says what is different, and what to change. Where all is well again, the new version goes
to `LAST` in targets/hls4ml/versions.py.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actc.targets.fpga.hdl import Range
from actc.targets.hls4ml.backends import BACKENDS
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork
from actc.targets.hls4ml.options import Options
from actc.targets.hls4ml.project import project_files
from actc.targets.hls4ml.versions import FIRST, LAST, judged, remark
from actc.targets.hls4ml.worker import MODEL, PROJECT, SETTINGS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

hls4ml = pytest.importorskip("hls4ml")
HOME = Path(hls4ml.__file__).parent
TEMPLATES = HOME / "templates"


def expect(holds: bool, what: str, change: str) -> None:
    """Fail with what is different, and what to change."""
    if not holds:
        pytest.fail(f"hls4ml {metadata.version('hls4ml')}: {what}. Change {change}", pytrace=False)


# --- versions


def test_the_installed_version() -> None:
    found = remark()
    expect(
        found is None,
        f"not between {FIRST} and {LAST}",
        "LAST in targets/hls4ml/versions.py, once all tests of this module and of "
        "tests/test_hls4ml*.py pass, also the slow ones",
    )


def test_versions_are_stated_alike(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    extra = project["project"]["optional-dependencies"]["hls4ml"]
    (stated,) = (line for line in extra if re.match(r"hls4ml\b", line))
    bound = re.search(r">=(\d+)\.(\d+)", stated)
    assert bound is not None
    assert (int(bound[1]), int(bound[2])) == FIRST
    (pinned,) = re.findall(
        r"^hls4ml==(\S+)$", (root / "constraints.txt").read_text("utf-8"), re.MULTILINE
    )
    assert judged(pinned) is None


@pytest.mark.parametrize("text", ["1.3.0", "1.3.1", "1.3.0rc2", "1.3"])
def test_versions_that_are_known(text: str) -> None:
    assert judged(text) is None


@pytest.mark.parametrize(
    ("text", "severity"),
    [("1.4.0", "warning"), ("2.0", "warning"), ("1.30.0", "warning"), ("1.2.0", "error"),
     ("0.8.1", "error"), ("git", "warning"), ("1.4.0.dev3+gabc", "warning")],
)  # fmt: skip
def test_versions_that_are_not(text: str, severity: str) -> None:
    found = judged(text)
    assert found is not None
    assert (found.code, found.severity) == ("ACT0443", severity)
    assert text in found.message
    assert "<1.4" in found.help


def test_an_untested_version_is_a_warning_in_the_report(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from models import network, normal

    import actc

    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda n: "9.9.0" if n == "hls4ml" else real(n))
    model = network("float[N,4] x => float[N,2] y", "y = MatMul(x, w)", {"w": normal(4, 2, seed=1)})
    found = actc.compile(model, "hls4ml", data={"x": normal(20, 4, seed=2)}, dry_run=True)
    codes = {(d["code"], d["severity"]) for d in found.report["diagnostics"]}
    assert ("ACT0443", "warning") in codes


# --- functions and classes


def parameters(function: Any) -> list[str]:
    return list(inspect.signature(function).parameters)


def test_the_converter() -> None:
    taken = parameters(hls4ml.converters.convert_from_onnx_model)
    options = {"backend", "project_name", "output_dir", "hls_config"}
    expect(
        taken[0] == "model" and options < set(taken) and "kwargs" in taken,
        f"convert_from_onnx_model takes {taken}",
        "settings() in targets/hls4ml/project.py, and worker.py",
    )


def test_the_extension_api() -> None:
    from hls4ml.backends import get_available_backends, get_backend
    from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
    from hls4ml.converters.onnx_to_hls import register_onnx_layer_handler
    from hls4ml.model.attributes import Attribute, TypeAttribute, WeightAttribute
    from hls4ml.model.layers import Layer, register_layer

    where = "targets/hls4ml/extension.py"
    expected: Mapping[Any, list[str]] = {
        register_onnx_layer_handler: ["layer_name", "handler_func"],
        register_layer: ["name", "clazz"],
        LayerConfigTemplate.__init__: ["self", "layer_class"],
        FunctionCallTemplate.__init__: ["self", "layer_class", "include_header"],
    }
    for function, names in expected.items():
        found = parameters(function)
        expect(found[: len(names)] == names, f"{function.__qualname__} takes {found}", where)
    found = parameters(Layer.add_weights_variable)
    expect({"name", "var_name", "data"} <= set(found), f"add_weights_variable takes {found}", where)
    for kind in (Attribute, TypeAttribute, WeightAttribute):
        expect(parameters(kind)[0] == "name", f"{kind.__name__} has another constructor", where)
    known = set(get_available_backends())
    for name in BACKENDS:
        expect(name.lower() in known, f"no backend {name}", "targets/hls4ml/backends.py")
        for method in ("register_template", "register_source"):
            has = hasattr(get_backend(name), method)
            expect(has, f"{name} has no {method}", where)


def test_plugins_are_loaded_before_the_converters(tmp_path: Path) -> None:
    """Why there is no entry point of `hls4ml.backends`: handlers cannot be registered there."""
    source = (
        "def register(**_):\n"
        "    try:\n"
        "        from hls4ml.converters.onnx_to_hls import register_onnx_layer_handler\n"
        "    except ImportError as problem:\n"
        "        print('circular' if 'circular' in str(problem) else problem)\n"
        "    else:\n"
        "        print('possible')\n"
    )
    (tmp_path / "plugged.py").write_text(source)
    paths = {"PYTHONPATH": str(tmp_path), "HLS4ML_BACKEND_PLUGINS": "plugged", "PATH": "/usr/bin"}
    done = subprocess.run(
        [sys.executable, "-c", "import hls4ml"], env=paths, capture_output=True, text=True
    )
    expect(
        done.stdout.split() == ["circular"],
        f"a plug-in of `hls4ml.backends` gets: {done.stdout}{done.stderr[-300:]}",
        "docs/hls4ml.md: an entry point may call register() now",
    )


def test_products_of_few_bits() -> None:
    """Weights of two bits are ternary to hls4ml, so that ours have three."""
    from hls4ml.backends import get_backend
    from hls4ml.model.types import IntegerPrecisionType

    backend, data = get_backend("Vitis"), IntegerPrecisionType(8, False)
    kinds = {width: backend.product_type(data, IntegerPrecisionType(width)) for width in (2, 3)}
    where = "_LEAST in targets/hls4ml/document.py"
    expect(kinds[3] == "mult", f"weights of three bits are {kinds[3]}", where)
    expect(kinds[2] == "weight_ternary", f"weights of two bits are {kinds[2]}", where)


# --- what it writes


@pytest.fixture(scope="module")
def written() -> dict[str, bytes]:
    weight = np.array([[1, -2], [3, 1], [0, 2]])
    constants = {"weight": weight, "bias": np.array([1, -1])}
    types = {"accum": Range(-90, 90), "weight": Range(-2, 3), "bias": Range(-1, 1)}
    dense = HlsLayer("dense", "ActcDense", ("net_in",), (2,), Range(-90, 90), constants, types)
    numbers = {"factor": 2, "offset": 1}
    last = HlsLayer("last", "ActcAffine", ("dense",), (2,), Range(-179, 181), numbers)
    network = HlsNetwork("net", "net_in", (3,), Range(0, 15), (dense, last))
    return project_files(network, Options())


def test_the_stamp(written: dict[str, bytes]) -> None:
    """It is random, and replaced."""
    found = re.findall(rb"^Stamp: (\S+)$", written[f"{PROJECT}/hls4ml_config.yml"], re.MULTILINE)
    expect(
        len(found) == 1 and re.fullmatch(rb"[a-p]{8}", found[0]) is not None,
        f"the stamp that was written is {found}",
        "_unstamped() in targets/hls4ml/project.py",
    )


def test_files(written: dict[str, bytes]) -> None:
    names = {
        "firmware/net.cpp", "firmware/net.h", "firmware/defines.h", "firmware/parameters.h",
        "firmware/nnet_utils/actc_affine.h", "firmware/ap_types/ap_int.h", "build_prj.tcl",
        "build_opt.tcl", "project.tcl", "hls4ml_config.yml", "net_bridge.cpp",
    }  # fmt: skip
    missing = sorted(name for name in names if f"{PROJECT}/{name}" not in written)
    expect(not missing, f"the project has no {missing}", "backends.py and vendor.py there")


@pytest.mark.parametrize("backend", ["vitis", "vivado"])
def test_scripts(backend: str) -> None:
    text = (TEMPLATES / backend / "build_prj.tcl").read_text("utf-8")
    parts = [
        "open_project ${project_name}_prj", 'open_solution "solution1"', "set_top ${project_name}",
        "config_array_partition -maximum_size", "export_design -format ip_catalog",
        "add_files -tb firmware/weights", 'firmware/${project_name}.cpp -cflags "-std=c++0x"',
    ]  # fmt: skip
    for part in parts:
        expect(
            part in text,
            f"build_prj.tcl of {backend} has no line with `{part}`",
            "flow_of() in targets/hls4ml/vendor.py, and board.py there",
        )


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        (
            "quartus/Makefile",
            ["-march=$(DEVICE)", "myproject_test.cpp firmware/myproject.cpp\n", "-o $@"],
        ),
        (
            "catapult/build_prj.tcl",
            [
                "project new -name CATAPULT_DIR\n", "set design_top myproject\n", "project save\n",
                "flow run /Vivado/synthesize -shell vivado_concat_v/concat_rtl.v.xv\n",
            ],
        ),
    ],
)  # fmt: skip
def test_scripts_of_other_tools(path: str, parts: list[str]) -> None:
    text = (TEMPLATES / path).read_text("utf-8")
    for part in parts:
        expect(
            part in text,
            f"{path} has no `{part.strip()}`",
            "component_step() in targets/vendor/quartus.py, and catapult.py there",
        )


def test_signatures_of_functions(written: dict[str, bytes]) -> None:
    """What the bench and the AXI wrapper call."""
    header = written[f"{PROJECT}/firmware/net.h"].decode()
    declared = r"void net\(\s*input_t net_in\[3\],\s*result_t \w+\[2\]\s*\);"
    expect(
        re.search(declared, header) is not None,
        "the top function of arrays has other parameters",
        "targets/hls4ml/templates/call_arrays.cpp.in and axi_arrays.cpp.in",
    )
    types = (TEMPLATES / "vivado/nnet_utils/nnet_types.h").read_text("utf-8")
    for part in ("typedef T value_type;", "static const unsigned size = N;"):
        expect(part in types, f"nnet::array has no `{part}`", "library/ and templates/ there")


TRAPS = {
    "vivado/nnet_utils/nnet_pooling.h": (
        "x[x.width - 1] = 1;",
        "max pooling pads unsigned integers otherwise: ActcMaxPool may be hls4ml's own",
    ),
    "vitis/nnet_utils/nnet_pooling_stream.h": (
        "assert(CONFIG_T::pool_height == CONFIG_T::stride_height",
        "pooling of streams takes other windows: ActcMaxPool may be hls4ml's own",
    ),
    "vivado/nnet_utils/nnet_conv_stream.h": (
        "static int sX = 0; // stride counter",
        "convolutions of streams count otherwise: ActcWindows may be hls4ml's own",
    ),
    "vitis/nnet_utils/nnet_conv2d_resource.h": (
        "This function is correct only for RF <= FILT_HEIGHT * FILT_WIDTH * N_CHAN",
        "reuse factors of convolutions of arrays may be larger than a window",
    ),
}
"""Template -> a part of what is worked around, and what a change means."""


@pytest.mark.parametrize("name", sorted(TRAPS))
def test_traps(name: str) -> None:
    part, meaning = TRAPS[name]
    text = (TEMPLATES / name).read_text("utf-8")
    expect(
        part in text,
        f"{name} has changed; perhaps {meaning}",
        "targets/hls4ml/linear.py, lower.py or document.py, or this test",
    )


# --- from hls4ml's side


def test_registering_is_all_that_hls4ml_needs(written: dict[str, bytes], tmp_path: Path) -> None:
    """The dialect is read, the project is the same, and no compiler is imported."""
    for name in (MODEL, SETTINGS):
        (tmp_path / name).write_bytes(written[name])
    program = (
        "import json, sys, hls4ml\n"
        "from actc.targets.hls4ml import register\n"
        "register(('Vivado',))\n"
        "register()\n"
        "register()\n"
        f"settings = json.load(open({SETTINGS!r}))\n"
        f"convert = hls4ml.converters.convert_from_onnx_model\n"
        f"convert({MODEL!r}, output_dir='own', **settings).write()\n"
        "heavy = {'onnxruntime', 'scipy', 'onnx_ir', 'actc.targets.hls4ml.target'}\n"
        "print('imported', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "imported []"
    source = (tmp_path / "own/firmware/net.cpp").read_bytes()
    assert source == written[f"{PROJECT}/firmware/net.cpp"]
    assert json.loads(written[SETTINGS])["backend"] == "Vitis"
