"""Instructions on Cortex-M cores, as benchmarks/cortex_m.py counts them."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from c_networks import NETWORKS
from installed import needs_cortex_m

from actc.targets.c import CTarget
from actc.targets.cortex_m.board import CORTEX_M3, CORTEX_M4, HELIUM_M55

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))
import cortex_m


@needs_cortex_m
def test_instructions_for_products_are_fewer(tmp_path: Path) -> None:
    network = NETWORKS["convolutions"]()
    for file, content in CTarget().plan(network.model, "int8").files.items():
        (tmp_path / file).write_bytes(content)
    feeds = network.feeds(2)
    plain, dsp, helium = (
        cortex_m.instructions(tmp_path, feeds, core) for core in (CORTEX_M3, CORTEX_M4, HELIUM_M55)
    )
    assert plain.shape == (2,)
    assert (1.1 * dsp < plain).all()
    assert (1.5 * helium < dsp).all()


@needs_cortex_m
@pytest.mark.parametrize("core", [CORTEX_M4, HELIUM_M55], ids=lambda core: core.cpu)
def test_a_loop_of_known_length_is_counted(
    core: cortex_m.Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = NETWORKS["comparisons"]()
    for file, content in CTarget().plan(network.model, "int8").files.items():
        (tmp_path / file).write_bytes(content)
    feeds = network.feeds(1)
    before = cortex_m.instructions(tmp_path, feeds, core)
    loop = r'__asm__ volatile("ldr r3, =250000\n1: subs r3, #1\n bne 1b" ::: "r3", "cc");'
    head = "    timer[0] = 5u;\n"
    assert head in cortex_m._COUNTER
    counter = cortex_m._COUNTER.replace(head, f"{head}    {loop}\n")
    monkeypatch.setattr(cortex_m, "_COUNTER", counter)
    more = cortex_m.instructions(tmp_path, feeds, dataclasses.replace(core)) - before
    np.testing.assert_allclose(more, 500_000, atol=3 * 40)
