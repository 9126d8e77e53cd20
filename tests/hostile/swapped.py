"""Artefacts with files of others in them, and with manifests that lead elsewhere.

Whatever would be loaded or run is first compared with the manifest: the files that stand for
programs here would leave a file behind if they were run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from hostile.artefacts import (
    BISECT,
    CHECK,
    REPORT,
    REPRODUCE,
    VERIFY,
    Spoil,
    case,
    content,
    instead,
)
from hostile.case import COMPILE, Case
from hostile.networks import good

BUILD = ("build", "out")
RUN = ("run", "out", "--port", "sim", "--data", "data.npz")
_C = b"""#include <stdlib.h>
__attribute__((constructor)) static void run(void) { system("touch owned"); }
"""
_TCL = b"exec touch owned\n"
_VERILOG = b'module net_uart; initial $fclose($fopen("owned")); endmodule\n'
_BUS = {"bus": "x", "dtype": "float32", "shape": [6], "width": 8, "signed": True, "zero_point": 0}
_INTERFACE = {
    "format": 1,
    "name": "net",
    "kind": "uart",
    "build": "0123456789abcdef",
    "latency": 1,
    "inputs": [{**_BUS, "input": "x", "low": -128, "high": 127, "kind": "quantize", "scale": 1.0}],
    "outputs": [
        {**_BUS, "bus": "y", "output": "y", "kind": "codes", "scale": [1.0], "offset": [0]}
    ],
    "output_buses": ["y"],
    "clock_hz": 1e6,
    "baud": 9600,
    "simulation": {"top": "net_uart", "files": ["net_uart.v"], "clock_module": ""},
}


def _manifest(change: Callable[[dict[str, Any]], object]) -> Spoil:
    def spoil(out: Path) -> None:
        path = out / "manifest.json"
        manifest = json.loads(path.read_text("utf-8"))
        change(manifest)
        path.write_text(json.dumps(manifest), "utf-8")

    return spoil


def _other_target(target: str, changed: str, **files: bytes) -> Spoil:
    """As if it were compiled for another target, and one of its files were changed since.

    Args:
        files: path, with "__" for "/" and "_dot_" for ".", -> what is there.
    """

    def spoil(out: Path) -> None:
        digests = {}
        for key, text in files.items():
            name = key.replace("__", "/").replace("_dot_", ".")
            (out / name).parent.mkdir(exist_ok=True)
            (out / name).write_bytes(text)
            digests[name] = hashlib.sha256(text + b"." * (name == changed)).hexdigest()
        assert changed in digests

        def change(manifest: dict[str, Any]) -> None:
            manifest["target"] = target
            manifest["files"].update(digests)

        _manifest(change)(out)

    return spoil


def _listed(name: str, digest: str = "0" * 64) -> Spoil:
    return _manifest(lambda manifest: manifest["files"].update({name: digest}))


def _swapped_model(out: Path) -> None:
    """Another network of the same shape."""
    model = good()
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.ones((6, 3), np.float32), "w"))
    (out / "float.onnx").write_bytes(model.SerializeToString())


def _prettier(out: Path) -> None:
    """A report that says what was never measured."""
    path = out / "report.json"
    report = json.loads(path.read_text("utf-8"))
    report["accuracy"] = dict.fromkeys(report["accuracy"], 1.0)
    path.write_text(json.dumps(report), "utf-8")


def _refused(name: str, title: str, spoil: Spoil, command: tuple[str, ...]) -> Case:
    return case(name, title, spoil, 2, "ACT0067", command=command)


_NET = json.dumps(_INTERFACE).encode()
_OUTSIDE = json.dumps(
    {**_INTERFACE, "simulation": {"top": "t", "files": ["../../x.v"], "clock_module": ""}}
).encode()
_INJECTED = json.dumps(
    {**_INTERFACE, "simulation": {"top": "t; initial $finish;", "files": [], "clock_module": ""}}
).encode()
_PROGRAMS = (
    _refused(
        "model-so",
        "model.so is another library",
        _other_target("cpu", "model.so", model_dot_so=_C, signature_dot_json=b"{}"),
        CHECK,
    ),
    _refused(
        "main-c",
        "main.c runs a command",
        _other_target(
            "c", "main.c", main_dot_c=_C, model_dot_c=b"", model_dot_h=b"", signature_dot_json=b"{}"
        ),
        CHECK,
    ),
    _refused(
        "testbench",
        "the testbench's program is another",
        _other_target("bnn-hls", "build/testbench", build__testbench=b"#!/bin/sh\ntouch owned\n"),
        CHECK,
    ),
    _refused(
        "library-h",
        "a header of hls4ml's project runs a command",
        _other_target("hls4ml", "project/net.h", project__net_dot_h=_C),
        CHECK,
    ),
    _refused(
        "kernels",
        "the kernels for a GPU are others",
        _other_target("cuda:sm_80", "kernels.cu", kernels_dot_cu=_C),
        CHECK,
    ),
    _refused(
        "script",
        "the vendor's script runs a command",
        _other_target("bnn-hls", "hls/build_ip.tcl", hls__build_ip_dot_tcl=_TCL),
        BUILD,
    ),
    _refused(
        "verilog",
        "the board's Verilog writes a file",
        _other_target("ecp5-25k", "net_uart.v", net_uart_dot_v=_VERILOG, interface_dot_json=_NET),
        RUN,
    ),
    _refused(
        "board-file",
        "the file of the board is another",
        _other_target(
            "mine.toml", "mine.toml", mine_dot_toml=b'[board]\nextends = "/etc/passwd"\n'
        ),
        CHECK,
    ),
    case(
        "interface-outside",
        "interface.json names ../../x.v",
        content("interface.json", _OUTSIDE),
        2,
        "ACT0590",
        command=RUN,
    ),
    case(
        "interface-injected",
        "interface.json names a module that is code",
        content("interface.json", _INJECTED),
        2,
        "ACT0590",
        command=RUN,
    ),
)
_MODELS = (
    _refused("float-bisected", "float.onnx is another network", _swapped_model, BISECT),
    _refused("float-sites", "float.onnx is another network", _swapped_model, (*CHECK, "--sites")),
    _refused("float-bound", "float.onnx is another network", _swapped_model, (*CHECK, "--bound")),
    _refused("float-verified", "float.onnx is another network", _swapped_model, VERIFY),
    _refused(
        "stage-unlisted",
        "a model that the manifest does not have",
        _manifest(lambda manifest: manifest["files"].pop("golden.onnx")),
        CHECK,
    ),
    _refused("report-prettier", "report.json claims an accuracy", _prettier, REPORT),
    _refused("report-fifo", "report.json is a pipe", instead("report.json", os.mkfifo), REPORT),
    case(
        "timings-text",
        "timings.js is no table",
        content("timings.js", b"alert(1)"),
        2,
        "ACT0204",
        command=REPORT,
    ),
)
_PLACES = (
    _refused("names-parent", "the manifest names ../data.npz", _listed("../data.npz"), CHECK),
    _refused("names-absolute", "the manifest names /etc/passwd", _listed("/etc/passwd"), CHECK),
    _refused("names-nothing", "the manifest names ''", _listed(""), CHECK),
    _refused("names-nul", "the manifest names a NUL", _listed("a\0b"), CHECK),
    _refused("names-surrogate", "the manifest names half a surrogate", _listed("\ud800"), CHECK),
    _refused("names-long", "the manifest names a megabyte", _listed("a" * (1 << 20)), CHECK),
    _refused("names-folder", "the manifest names the folder", _listed("."), CHECK),
    _refused("digest", "a digest that is none", _listed("golden.onnx", "0"), CHECK),
    _refused(
        "many",
        "the manifest names 20,000 files that are not there",
        _manifest(lambda m: m["files"].update({f"f{k}": "0" * 64 for k in range(20_000)})),
        CHECK,
    ),
    _refused(
        "sparse",
        "a file of 1 TiB",
        lambda out: os.truncate(out / "golden.onnx", 1 << 40),
        CHECK,
    ),
    case(
        "target-list",
        "the manifest's target is a list",
        _manifest(lambda manifest: manifest.update(target=["cpu"])),
        2,
        "ACT0201",
    ),
    case(
        "target-path",
        "the manifest's target is a file elsewhere",
        _manifest(lambda manifest: manifest.update(target="../../etc/x.toml")),
        2,
        "ACT0589",
    ),
    case(
        "reproduced-elsewhere",
        "the manifest's model is ../../x",
        _manifest(lambda manifest: manifest["input"].update(name="../../x.onnx")),
        2,
        "ACT0396",
        command=("reproduce", "out"),
    ),
    case(
        "reproduced-fifo",
        "manifest.json is a pipe",
        instead("manifest.json", os.mkfifo),
        2,
        "ACT0395",
        command=REPRODUCE,
    ),
    case(
        "replaced-fifo",
        "manifest.json of what is there is a pipe",
        instead("manifest.json", os.mkfifo),
        2,
        "ACT0240",
        command=COMPILE,
    ),
    case(
        "replaced-deep",
        "manifest.json of what is there, brackets 200,000 deep",
        content("manifest.json", b"[" * 200_000),
        2,
        "ACT0240",
        command=COMPILE,
    ),
)
CASES = (*_PROGRAMS, *_MODELS, *_PLACES)
