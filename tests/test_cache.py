"""The cache: entries are whole or not there, whatever happens to them."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import CommandLine

from actc import cache
from actc.cache import entry, store
from actc.cache.store import Cache
from actc.errors import UsageError

KEY = hashlib.sha256(b"one").hexdigest()
PARTS = {"netlist.json": b'{"a": 1}\n', "log": b"", "raw": bytes(range(256))}


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins as a process does."""
    cache.take_notices()
    monkeypatch.setattr("actc.cache.notices._SAID", set())


@pytest.fixture
def kept(tmp_path: Path) -> Cache:
    """A cache with one entry."""
    found = Cache(tmp_path / "cache", 10**6)
    assert found.write("placement", KEY, PARTS)
    return found


def file_of(found: Cache, key: str = KEY) -> Path:
    return found.root / "v1" / "placement" / key[:2] / key


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def codes() -> list[str]:
    return [notice.code for notice in cache.take_notices()]


def test_what_is_written_is_read(kept: Cache) -> None:
    assert kept.read("placement", KEY) == PARTS
    assert kept.read("placement", key(2)) is None
    assert kept.read("synthesis", KEY) is None
    assert kept.root.stat().st_mode & 0o777 == 0o700
    assert not codes()


@pytest.mark.parametrize(
    ("kind", "name"), [("../x", KEY), ("placement", "../" + KEY), ("placement", KEY.upper()[:-1])]
)
def test_names_stay_in_the_folder(kept: Cache, kind: str, name: str) -> None:
    with pytest.raises(ValueError, match="no kind and key"):
        kept.write(kind, name, PARTS)


@pytest.mark.parametrize("at", [0, 12, 20, 90, 100, -300, -1])
def test_one_bit_more_or_less(kept: Cache, at: int) -> None:
    path = file_of(kept)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert kept.read("placement", KEY) is None
    assert codes() == ["ACT0250"]
    assert not path.exists()
    assert kept.write("placement", KEY, PARTS)
    assert kept.read("placement", KEY) == PARTS


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content[: len(content) // 2],
        lambda content: content + b"x",
        lambda content: b"\0" * len(content),
        lambda content: signed(b""),
        lambda content: signed(b"[]\n"),
        lambda content: signed(b"{}\n"),
        lambda content: signed(b"[" * 10**5 + b"\n"),
        lambda content: signed(header([["a", -1], ["b", 2]]) + b"x"),
        lambda content: signed(header([["a", 9]]) + b"x"),
        lambda content: signed(header([["a", "x"]]) + b"x"),
        lambda content: signed(header([], key(2))),
    ],
)
def test_what_is_no_entry_is_removed(kept: Cache, damage: Callable[[bytes], bytes]) -> None:
    path = file_of(kept)
    path.write_bytes(damage(path.read_bytes()))
    assert kept.read("placement", KEY) is None
    assert codes() == ["ACT0250"]
    assert not path.exists()


def signed(body: bytes) -> bytes:
    """What says the right digest, and holds nonsense."""
    return b"actc-cache 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def header(parts: object, name: str = KEY) -> bytes:
    return json.dumps({"kind": "placement", "key": name, "parts": parts}).encode() + b"\n"


def test_an_entry_under_the_name_of_another(kept: Cache) -> None:
    other = file_of(kept, key(2))
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(file_of(kept).read_bytes())
    assert kept.read("placement", key(2)) is None
    assert codes() == ["ACT0250"]


def test_links_and_pipes_are_not_read(kept: Cache, tmp_path: Path) -> None:
    path, away = file_of(kept), tmp_path / "away"
    path.rename(away)
    path.symlink_to(away)
    assert kept.read("placement", KEY) is None
    assert not path.is_symlink()
    os.mkfifo(path)
    assert kept.read("placement", KEY) is None
    assert away.exists()


def test_those_used_longest_ago_make_room(tmp_path: Path) -> None:
    found = Cache(tmp_path, 5000)
    for number in range(4):
        found.write("placement", key(number), {"x": bytes(1000)})
        os.utime(file_of(found, key(number)), (number, number))
    assert found.read("placement", key(0)) is not None  # used now
    found.write("placement", key(4), {"x": bytes(1000)})
    left = [number for number in range(5) if file_of(found, key(number)).exists()]
    assert left == [0, 3, 4]
    assert sum(kind.bytes for kind in found.kinds()) <= 5000
    assert not found.write("placement", key(5), {"x": bytes(5001)})
    assert found.prune(1500).kept <= 1500
    assert found.read("placement", key(4)) is not None


def test_pruning_removes_what_is_of_no_use(kept: Cache) -> None:
    file_of(kept, key(2)).parent.mkdir(exist_ok=True)
    file_of(kept, key(2)).write_bytes(b"damaged")
    dead, alive = file_of(kept).parent / ".new-dead", file_of(kept).parent / ".new-alive"
    for path in (dead, alive):
        path.write_bytes(b"half")
    os.utime(dead, (0, 0))
    older = kept.root / "v0" / "placement" / "aa"
    older.mkdir(parents=True)
    (older / KEY).write_bytes(b"of another version")
    (kept.root / "mine.txt").write_text("the user's", "utf-8")
    found = kept.prune()
    assert (found.entries, found.damaged) == (3, 1)
    assert not dead.exists()
    assert alive.exists()
    assert not (older / KEY).exists()
    assert (kept.root / "mine.txt").exists()
    assert kept.clear().entries == 1
    assert kept.kinds() == []


def test_a_folder_that_others_may_write_is_refused(kept: Cache) -> None:
    kept.root.chmod(0o777)
    assert kept.read("placement", KEY) is None
    assert not kept.write("placement", key(2), PARTS)
    assert kept.clear().entries == 0
    found = cache.take_notices()
    assert [notice.code for notice in found] == ["ACT0251"]  # once
    assert "others" in found[0].message or "other users" in found[0].message


def test_a_folder_of_another_user_is_refused(kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.os, "geteuid", lambda: os.getuid() + 1)
    assert kept.read("placement", KEY) is None
    assert codes() == ["ACT0251"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        found = Cache(root, 10**6)
        assert not found.write("placement", KEY, PARTS)
        assert found.read("placement", KEY) is None
    assert set(codes()) == {"ACT0251"}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_a_disk_that_takes_nothing(
    kept: Cache, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Refusals of the system, as root may write where others may not."""

    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(store.os, "utime", refuse)
    monkeypatch.setattr(entry.tempfile, "mkstemp", refuse)
    assert kept.read("placement", KEY) == PARTS
    assert not kept.write("placement", key(2), PARTS)
    assert not kept.write("placement", key(3), PARTS)
    assert codes() == ["ACT0251"]


def test_what_a_key_depends_on(tmp_path: Path) -> None:
    given = [
        cache.key_of("placement", {"seed": 1}, {"a": b"1"}),
        cache.key_of("synthesis", {"seed": 1}, {"a": b"1"}),
        cache.key_of("placement", {"seed": 2}, {"a": b"1"}),
        cache.key_of("placement", {"seed": "1"}, {"a": b"1"}),
        cache.key_of("placement", {"seed": True}, {"a": b"1"}),
        cache.key_of("placement", {"seed": 1}, {"a": b"2"}),
        cache.key_of("placement", {"seed": 1}, {"b": b"1"}),
    ]
    assert len(set(given)) == len(given)
    first = cache.key_of("x", {"a": 1, "b": [1, 2]})
    assert first == cache.key_of("x", {"b": (1, 2), "a": 1})
    with pytest.raises(TypeError, match="float"):
        cache.key_of("placement", {"seed": 1.0})
    (tmp_path / "a.py").write_text("1", "utf-8")
    before = cache.source_digest(tmp_path)
    (tmp_path / "a.py").write_text("2", "utf-8")
    assert cache.source_digest.__wrapped__(tmp_path) != before


def test_packages_are_known_by_their_files() -> None:
    found = cache.distributions(["pytest", "numpy"])
    assert found is not None
    assert found["pytest"] != found["numpy"]
    assert cache.distributions(["pytest", "no-such-package"]) is None


def test_where_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path))
    assert cache.directory() == tmp_path
    monkeypatch.delenv("ACTC_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.directory() == tmp_path / "actc"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache.directory() == Path.home() / ".cache" / "actc"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("12", 12), ("500MB", 500 * 10**6), ("1.5 GiB", 3 << 29), ("2gb", 2 * 10**9)],
)
def test_sizes(monkeypatch: pytest.MonkeyPatch, text: str, size: int) -> None:
    monkeypatch.setenv("ACTC_CACHE_SIZE", text)
    assert cache.limit() == size


def test_when_it_is_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1MB")
    assert cache.default() is not None
    with cache.disabled(), cache.disabled(False):
        assert cache.default() is None
    assert cache.default() is not None
    monkeypatch.setenv("ACTC_CACHE_SIZE", "0")
    assert cache.default() is None
    monkeypatch.setenv("ACTC_CACHE_SIZE", "much")
    with pytest.raises(UsageError) as caught:
        cache.default()
    assert [found.code for found in caught.value.diagnostics] == ["ACT0252"]


def test_the_command(actc_cli: CommandLine, kept: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTC_CACHE_DIR", str(kept.root))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1MB")
    size = file_of(kept).stat().st_size
    document = actc_cli("cache", "info", "--json").document
    assert document["kinds"] == [{"kind": "placement", "entries": 1, "bytes": size}]
    assert (document["bytes"], document["limit"]) == (size, 10**6)
    shown = actc_cli("cache").stdout
    assert "placement" in shown
    assert "of at most 1.0 MB" in shown
    file_of(kept).write_bytes(b"damaged")
    document = actc_cli("cache", "prune", "--json").document
    assert document["removed"] == {"entries": 1, "bytes": 7, "damaged": 1}
    kept.write("placement", KEY, PARTS)
    assert actc_cli("cache", "prune", "--size", "10B", "--json").document["bytes"] == 0
    kept.write("placement", KEY, PARTS)
    assert "removed 1 entries" in actc_cli("cache", "clear").stdout
    assert actc_cli("cache", "info", "--size", "1").status == 2
    assert actc_cli("cache", "prune", "--size", "x").status == 2
    kept.root.chmod(0o777)
    assert "other users may write" in actc_cli("cache", "prune").stderr


def test_compile_without_it(
    actc_cli: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whether it is in use where a compilation would ask for it."""
    monkeypatch.setenv("ACTC_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("ACTC_CACHE_SIZE", "1MB")
    used: list[bool] = []

    def ask(*arguments: object, **options: object) -> None:
        used.append(cache.default() is not None)
        raise UsageError([])

    monkeypatch.setattr("actc.compile", ask)
    actc_cli("compile", "m.onnx")
    actc_cli("compile", "m.onnx", "--no-cache")
    assert used == [True, False]
    monkeypatch.setenv("ACTC_CACHE_SIZE", "many")
    done = actc_cli("compile", "m.onnx")
    assert done.status == 2
    assert "ACT0252" in done.stderr
    assert len(used) == 2
