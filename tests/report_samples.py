"""Reports that look like real ones, for the tests of the report."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from actc.report import SiteCurve

HOSTILE = (
    "</script><script>alert(1)</script>{{7*7}}\" onmouseover=\"alert(2)' x='<!--\x1b[31m\u202e"
)

_FUNCTIONS = {
    "gelu": lambda x: 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    "snake": lambda x: x + np.sin(x) ** 2,
}


def curve(function: str, low: float = -4.2, high: float = 5.1, channel: int = -1) -> SiteCurve:
    """A site with 256 input codes and outputs rounded to 256 levels."""
    step = (high - low) / 255
    x = low + step * np.arange(256)
    y = np.asarray(_FUNCTIONS[function](x * (1 + 0.25 * max(channel, 0))), np.float64)
    scale = (y.max() - y.min()) / 255
    edges = np.linspace(low, high, 65)
    middle = (edges[1:] + edges[:-1]) / 2
    counts = np.round(9000 * np.exp(-0.5 * ((middle + 0.6) / 1.3) ** 2))
    label = f"channel {channel}" if channel >= 0 else ""
    return SiteCurve(x, y, np.round(y / scale) * scale, (counts, edges), step, label)


def activation(name: str, function: str, shown: SiteCurve, form: str = "table") -> dict[str, Any]:
    """The entry of report.json for a site with this curve."""
    return {
        "id": name,
        "function": function,
        "form": form,
        "nodes": [f"/{name}/Div", f"/{name}/Erf", f"/{name}/Add", f"/{name}/Mul"],
        "input": f"/{name}/Conv_output_0",
        "output": f"/{name}/Mul_1_output_0",
        "channels": None,
        "max_error": float(np.nanmax(np.abs(shown.error))),
        "rms_error": float(np.sqrt(np.nanmean(shown.error**2))),
        "segments": 256 if form == "table" else 11,
        "input_range": [float(shown.x[0]), float(shown.x[-1])],
        "reason": "an exact table of 256 entries is the cheapest form on this target",
    }


def small() -> tuple[dict[str, Any], dict[str, SiteCurve | list[SiteCurve]]]:
    """Three sites, one a per-channel family; everything measured and within budget."""
    curves: dict[str, SiteCurve | list[SiteCurve]] = {
        "features.1": curve("silu"),
        "features.4": curve("gelu", -3.1, 7.7),
        "head.act": [curve("snake", -3, 3, channel=c) for c in (0, 1, 5, 7)],
    }
    sites = [
        activation("features.1", "silu", curve("silu")),
        activation("features.4", "gelu", curve("gelu", -3.1, 7.7), "pwl"),
        activation("head.act", "snake", curve("snake", -3, 3)),
    ]
    sites[2]["channels"] = 8
    return _report(sites), curves


def large(count: int = 40) -> tuple[dict[str, Any], dict[str, SiteCurve | list[SiteCurve]]]:
    """`count` sites; sites 0 and 5 are equal, the last one is left in float."""
    names = [f"encoder.layer.{i}.intermediate.act_fn" for i in range(count)]
    kinds = list(_FUNCTIONS)
    curves: dict[str, SiteCurve | list[SiteCurve]] = {}
    sites = []
    for i, name in enumerate(names):
        kind, low = kinds[i % 5], -4.0 - 0.1 * (i % 5 if i in (0, 5) else i)
        curves[name] = curve(kind, low, 4.5)
        sites.append(activation(name, kind, curve(kind, low, 4.5)))
    sites[-1] |= {"form": None, "segments": None, "max_error": None, "rms_error": None}
    sites[-1]["reason"] = "its input has 3.1e+38 in the calibration data: no scale covers it"
    del curves[names[-1]]
    return _report(sites), curves


def on_fpga(name: str = "features.1") -> dict[str, Any]:
    """The small report, of a network on an FPGA; `name` for every name that a model chooses."""
    layer = {"operator": "IntMatMul", "luts": 1210, "carries": 640, "ffs": 812, "cells": 2490}
    rungs = [
        ("RTL", "equal", "simulated by Verilator", 450),
        ("routed netlist", "equal", "every cell evaluated", 450),
        ("bitstream", "not run", "ecpunpack is not installed", 0),
    ]
    return small()[0] | {
        "target": "ecp5-25k",
        "rungs": [
            dict(zip(("name", "result", "detail", "samples"), rung, strict=True)) for rung in rungs
        ],
        "hardware": {
            "device": "LFE5U-25F",
            "board": "ecp5-25k",
            "clock": {"asked": 120.0, "estimated": 124.0, "reached": 131.25},
            "latency": {"clocks": 9, "ns": 68.57},
            "samples_per_second": 131.25e6,
            "interface": "uart",
            "wire": "1,200 samples/s at 1 Mbaud",
            "resources": [
                {"name": "logic cells", "used": 3102, "available": 24288, "estimated": 2950},
                {"name": "flip-flops", "used": 1203, "available": 24288, "estimated": None},
            ],
            "layers": [
                {"layer": name} | layer,
                {"layer": "head", "operator": name, "luts": 612, "ffs": 391, "cells": 612}
                | {"estimated": 600},
            ],
            "critical_path": [{"layer": name, "ns": 7.6}],
            "tools": {"yosys": "0.70"},
            "seed": 1,
            "program": ["openFPGALoader", "-b", "ulx3s", f"{name}.bit"],
            "notes": [f"look at {name} first"],
        },
    }


def unlabelled(report: dict[str, Any]) -> dict[str, Any]:
    """The same report without labels and, as loudly as possible, without data."""
    return report | {
        "accuracy": {"float": None, "approximated": None, "golden": None, "artifact": None},
        "data": {"synthetic": True, "labels": False, "samples": 32},
        "samples": 32,
    }


def hostile() -> tuple[dict[str, Any], dict[str, SiteCurve | list[SiteCurve]]]:
    """The small report with `HOSTILE` for every name that a model or user chooses."""
    report, curves = small()
    for site in report["activations"]:
        site |= {"nodes": [HOSTILE], "input": HOSTILE, "output": HOSTILE, "reason": HOSTILE}
    first = report["activations"][0]
    curves[HOSTILE] = curves.pop(first["id"])
    first |= {"id": HOSTILE, "function": HOSTILE}
    family = curves["head.act"]
    assert isinstance(family, list)
    curves["head.act"] = [
        SiteCurve(c.x, c.original, c.approximation, c.histogram, c.input_scale, HOSTILE)
        for c in family
    ]
    report["model"] |= {"name": HOSTILE, "sha256": HOSTILE}
    for tensor in report["model"]["inputs"] + report["model"]["outputs"]:
        tensor |= {"name": HOSTILE, "shape": [HOSTILE, 3], "dtype": HOSTILE}
    report["target"] = HOSTILE
    report |= {key: on_fpga(HOSTILE)[key] for key in ("rungs", "hardware")}
    report["hardware"] |= {"device": HOSTILE, "board": HOSTILE, "interface": HOSTILE}
    report["rungs"][0] |= {"name": HOSTILE, "detail": HOSTILE}
    report["left_float"] = [{"node": HOSTILE, "op": HOSTILE, "reason": HOSTILE}]
    refused = dict.fromkeys(("node", "op", "reason", "help"), HOSTILE)
    report["islands"] = [{"operators": [HOSTILE], "nodes": [refused]}]
    report["diagnostics"] = [
        dict.fromkeys(report["diagnostics"][0], HOSTILE) | {"notes": [HOSTILE]}
    ]
    for row in report["outputs"]:
        row["name"] = HOSTILE
    report["options"][HOSTILE] = report["versions"][HOSTILE] = HOSTILE
    report["passes"].append({"name": HOSTILE, "options": {HOSTILE: HOSTILE}})
    return report, curves


def _report(sites: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "target": "cpu:znver4",
        "precision": "int8",
        "accuracy": {
            "float": 445 / 450,
            "approximated": 445 / 450,
            "golden": 444 / 450,
            "artifact": 444 / 450,
        },
        "bit_exact": True,
        "samples": 450,
        "activations": sites,
        "left_float": [
            {
                "node": "/head/Softmax",
                "op": "Softmax",
                "reason": "it feeds a graph output only; the caller wants float probabilities",
            }
        ],
        "bytes": 61_184,
        "seconds": None,
        "diagnostics": [
            {
                "code": "ACT0214",
                "severity": "warning",
                "message": "30 samples are few to calibrate 8-bit ranges on",
                "file": "digits_cnn.onnx",
                "node": "",
                "op": "",
                "notes": ["the largest value of site features.4 is seen once"],
                "help": "give at least 100 samples with --data",
            }
        ],
        "model": {
            "name": "digits_cnn.onnx",
            "sha256": hashlib.sha256(b"digits_cnn.onnx").hexdigest(),
            "bytes": 151_203,
            "opset": 18,
            "inputs": [{"name": "image", "shape": [None, 1, 8, 8], "dtype": "float32"}],
            "outputs": [{"name": "logits", "shape": [None, 10], "dtype": "float32"}],
        },
        "data": {"synthetic": False, "labels": True, "samples": 450},
        "sizes": {"float": 151_203, "approximated": 158_977, "golden": 48_210, "artifact": 61_184},
        "operators": {"integer": 14, "float": 1},
        "outputs": [
            {
                "name": "logits",
                "stage": stage,
                "max": worst,
                "p50": worst / 9,
                "p99": worst / 2,
                "rms": worst / 7,
                "top1_agreement": agreement,
            }
            for stage, worst, agreement in (
                ("approximated", 0.0021, 1.0),
                ("golden", 0.83, 0.9978),
                ("artifact", 0.83, 0.9978),
            )
        ],
        "sites_error": [
            {
                "id": site["id"],
                "stage": "golden",
                "max": 0.061,
                "p50": 0.007,
                "p99": 0.031,
                "rms": 0.0094,
            }
            for site in sites
        ],
        "options": {"approx": "auto", "max_drop": 0.01, "calibration": "mse", "passes": None},
        "versions": {"actc": "0.1.0", "onnx": "1.23.2", "onnxruntime": "1.31.1", "tvm": "0.27.0"},
        "passes": [
            "normalize",
            "recognize",
            {"name": "calibrate", "options": {"method": "mse"}},
            "approximate",
            "quantize",
            "integerize",
        ],
    }


TIMINGS = {
    "load": 0.031,
    "recognize": 0.212,
    "calibrate": 1.904,
    "approximate": 0.377,
    "integerize": 0.142,
    "build": 6.81,
    "check": 2.26,
}
