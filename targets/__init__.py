"""The targets, by name: a table of lazy references, plus entry points.

Third parties add a target through the entry point group ``actc.targets``
(name = target name, value = ``module:Class``).
"""

from __future__ import annotations

from actc.registry import Registry

_FPGAS = (
    "colorlight-i5",
    "ecp5-25k",
    "ecp5-45k",
    "ecp5-85k",
    "gowin-gw1n9",
    "gowin-gw2a18",
    "ice40-hx8k",
    "ice40-hx8k-evn",
    "ice40-up5k",
    "icebreaker",
    "icesugar",
    "icesugar-pro",
    "orangecrab-25f",
    "orangecrab-85f",
    "tangnano20k",
    "tangnano9k",
    "ulx3s-25f",
    "ulx3s-45f",
    "ulx3s-85f",
)
"""Devices and boards that `actc.targets.fpga.boards` describes."""

TARGETS = Registry(
    "target",
    "actc.targets",
    {
        "onnx": "actc.targets.onnx:OnnxTarget",
        "cpu": "actc.targets.tvm:CpuTarget",
        "c": "actc.targets.c:CTarget",
        "cuda": "actc.targets.tvm.cuda:CudaTarget",
        "bnn-hls": "actc.targets.bnn_hls:BnnHlsTarget",
        "hls4ml": "actc.targets.hls4ml:Hls4mlTarget",
        "verilog": "actc.targets.fpga.verilog:VerilogTarget",
        **{name: f"actc.targets.fpga.names:{name.replace('-', '_')}" for name in _FPGAS},
    },
)
