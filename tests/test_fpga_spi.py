"""A network behind an SPI port: from a model to the bitstream, and asked over the wire."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from command_line import CommandLine
from models import network, normal

pytestmark = pytest.mark.slow


def test_spi_from_a_model_to_the_simulated_wire(actc_cli: CommandLine, tmp_path: Path) -> None:
    weights = {"a": normal(3, 2, seed=1), "b": normal(2, seed=2)}
    body = "first = MatMul(x, a)\n y = Add(first, b)"
    onnx.save(network("float[N,3] x => float[N,2] y", body, weights), tmp_path / "m.onnx")
    data = tmp_path / "data.npz"
    np.savez(data, x=normal(64, 3, seed=5))
    out = tmp_path / "out"
    done = actc_cli(
        "compile", tmp_path / "m.onnx", "--target", "icebreaker", "--interface", "spi",
        "--weights", "3", "--activations", "4", "--data", data, "-o", out, "--json",
    )  # fmt: skip
    assert done.status == 0, done.stderr
    rungs = {rung["name"]: rung for rung in json.loads((out / "report.json").read_text())["rungs"]}
    for name in ("Verilog", "board, over its wire", "routed netlist", "bitstream"):
        assert rungs[name]["result"] == "equal", name
    assert "spi" in rungs["board, over its wire"]["detail"]
    pins = dict(line.split()[-2:] for line in (out / "m_spi.pcf").read_text().splitlines())
    assert pins == {"clk": "35", "spi_sck": "45", "spi_mosi": "2", "spi_miso": "47", "spi_cs": "4"}
    ran = actc_cli("run", out, "--port", "sim", "--data", data, "--samples", "5", "--json")
    assert ran.status == 0, ran.stderr
    assert ran.document["golden"]["bit_exact"] is True
    assert ran.document["traffic"]["silences"] == 0
    # a serial port is no SPI controller
    refused = actc_cli("run", out, "--port", "/dev/ttyUSB0", "--data", data, "--json")
    assert refused.status == 2
    assert refused.codes == ["ACT0591"]
    assert "--port sim" in refused.document["diagnostics"][0]["help"]
