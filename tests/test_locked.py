"""What `make` installs: parts of constraints-hashes.txt, and nothing that is not in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import hashes
import locked
import pytest
from licences import extras
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
TEXT = locked.HASHES.read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def names(*wanted: str) -> set[str]:
    return {name for name, _ in hashes.pins(locked.part(TEXT, wanted))}


def test_the_parts_together_are_the_whole() -> None:
    everything = {name for name, _, _ in locked.blocks(TEXT)}
    groups = {word for _, by, _ in locked.blocks(TEXT) for word in by}
    single = set(re.findall(r" ([a-z0-9-]+)==", MAKEFILE))
    assert groups == {*extras(), *hashes.GROUPS} - {*hashes.NOT_PINNED}
    assert single <= everything
    assert names(*groups, *(f"{name}==" for name in single)) == everything


@pytest.mark.parametrize("extra", sorted({*extras()} - {*hashes.NOT_PINNED}))
def test_a_part_holds_what_the_extra_asks_for(extra: str) -> None:
    direct = {canonicalize_name(requirement.name) for requirement in extras()[extra]}
    assert direct - {*hashes.WITHOUT} <= names(extra)


def test_a_part_keeps_its_lines() -> None:
    part = locked.part(TEXT, ["tvm", "pyserial=="])
    assert part in TEXT or all(line in TEXT for line in part.splitlines())
    found = hashes.hashes(part)
    assert {name for name, _ in found} >= {"apache-tvm", "apache-tvm-ffi", "pyserial"}
    whole = hashes.hashes(TEXT)
    assert all(found[pin] == whole[pin] for pin in found)
    assert "onnxruntime" not in names("tvm")


def test_a_name_that_nothing_has() -> None:
    with pytest.raises(SystemExit, match="nothing for cpuu, nump"):
        locked.part(TEXT, ["cpuu", "cpu", "nump=="])


def test_the_program_needs_no_package() -> None:
    command = [sys.executable, "-I", "-S", str(ROOT / "tools" / "locked.py"), "device"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout == locked.part(TEXT, ["device"])
    assert done.stdout.startswith("pyserial==")


def test_make_installs_nothing_that_is_not_verified() -> None:
    """Each use of pip is of a part of the list, of the checkout, or of torch."""
    lines = MAKEFILE.replace("\\\n", " ").splitlines()
    recipes = [
        line for line in lines if re.search(r"\$\(PIP\)|pip .*(install|download|wheel)", line)
    ]
    allowed = [
        r"^\S*PIP := |^\$\(SUPPLY\)/\.stamp: PIP := ",
        r"--require-hashes",
        r"^EDITABLE := \$\(PIP\) --no-deps --no-build-isolation -e \.$",
        r"^\t\$\(PIP\) -c constraints\.txt torch$",
        r"pip .*wheel .*--no-deps --no-build-isolation",
    ]
    assert len(recipes) > 5
    assert [line for line in recipes if not any(re.search(each, line) for each in allowed)] == []


ONE = """\
a==1 \\
    --hash=sha256:{0}
    # for always, cpu
b==2 ; python_version < "3.11" \\
    --hash=sha256:{0} \\
    --hash=sha256:{1}
""".format("0" * 64, "1" * 64)


def test_blocks() -> None:
    assert [(name, by) for name, by, _ in locked.blocks("# head\n" + ONE)] == [
        ("a", {"always", "cpu"}),
        ("b", set()),
    ]
    assert locked.part(ONE, ["b=="]) == ONE[ONE.index("b==2") :]
    assert hashes.groups(ONE) == {("a", "1"): ["always", "cpu"]}


UV = """\
a==1
    # via -r in.txt
b==1
    # via
    #   -c constraints.txt
    #   a
torch==2
    # via -r in.txt
driver==3
    # via torch
part==4
    # via driver
"""


def test_what_brings_a_package() -> None:
    graph = hashes.brought(UV)
    assert hashes.members(graph, {"a"}, {"a", "b"}) == {"a", "b"}
    assert hashes.members(graph, {"torch"}, {"a", "b", "part"}) == {"driver"}  # CUDA is apart


def test_pins_that_are_not_what_is_needed() -> None:
    markers = {("a", "1"): "", ("b", "1"): 'python_version < "3.11"', ("c", "1"): ""}
    found = {
        "3.10.1": {"a": {"cpu"}, "b": {"cpu"}, "driver": {"torch"}},
        "3.12.1": {"a": {"cpu"}, "b": {"cpu"}},
    }
    assert hashes.problems(markers, found) == [
        "b is not pinned for Python 3.12.1",
        "c is pinned for nothing",
    ]
    found["3.12.1"] = {"b": set()}
    assert "a is pinned for Python 3.12.1 for nothing" in hashes.problems(markers, found)
