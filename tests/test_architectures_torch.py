"""Common architectures exported from torch: every integer model is close to its float one."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from architectures.texts import GOLDEN_OPERATORS

import actc

pytest.importorskip("torch", reason="needs torch: pip install 'actc[torch]'")

from architectures import networks

Array = np.ndarray[Any, Any]

EXPORTERS = {"dynamo": True, "torchscript": False}
OPSETS = [("dynamo", 18), ("dynamo", 21), ("dynamo", 23), ("torchscript", 17), ("torchscript", 20)]
OF_OPSETS = ("mobilenet-v3", "mixer", "unet-bilinear", "shufflenet-v2", "group-norm", "geglu")

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def quiet_torch() -> Iterator[None]:
    """Torch's exporters warn about themselves."""
    logging.disable(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def exported(network: Any, tmp_path: Path, exporter: str, **options: Any) -> dict[str, Array]:
    path = tmp_path / "net.onnx"
    return networks.export(network, path, dynamo=EXPORTERS[exporter], **options)


def assert_close(tmp_path: Path, data: dict[str, Array], target: str = "onnx") -> None:
    out = tmp_path / "out"
    report = actc.compile(tmp_path / "net.onnx", target, data=data, output=out).report
    assert report["bit_exact"] is True
    assert report["left_float"] == []
    rows = [row for row in report["outputs"] if row["stage"] == "golden"]
    assert rows
    for row in rows:
        assert row["rms"] <= networks.NOISE * row["reference_rms"], row
    golden = onnx.load(out / "golden.onnx")
    assert {node.op_type for node in golden.graph.node} <= GOLDEN_OPERATORS


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("name", networks.NETWORKS)
def test_network(tmp_path: Path, name: str, exporter: str) -> None:
    data = exported(networks.NETWORKS[name], tmp_path, exporter)
    assert_close(tmp_path, data)


@pytest.mark.parametrize(("exporter", "opset"), OPSETS)
@pytest.mark.parametrize("name", OF_OPSETS)
def test_network_of_an_opset(tmp_path: Path, name: str, exporter: str, opset: int) -> None:
    """Also with a fixed batch, in opsets 20 and 21."""
    fixed = opset in (20, 21)
    options = {"opset": opset, "dynamic": not fixed}
    data = exported(networks.NETWORKS[name], tmp_path, exporter, **options)
    assert_close(tmp_path, data)
