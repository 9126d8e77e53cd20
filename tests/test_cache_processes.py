"""The cache under limits of the system, and where several processes write it or are killed."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from actc.cache import take_notices
from actc.cache.store import Cache

KEY = hashlib.sha256(b"one").hexdigest()

_LIMITED = """
import resource, signal, sys
from pathlib import Path
from actc.cache import take_notices
from actc.cache.store import Cache
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
found = Cache(Path(sys.argv[1]), 10**6)
print(found.write("placement", sys.argv[2], {"x": bytes(5000)}))
print([notice.code for notice in take_notices()])
"""


def test_a_file_that_is_cut_short_is_never_an_entry(tmp_path: Path) -> None:
    """A real limit of the system ends the write in its middle."""
    done = python(_LIMITED, str(tmp_path / "cache"), KEY)
    assert done.stdout.split("\n")[:2] == ["False", "['ACT0251']"]
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


_HAMMER = """
import hashlib, random, sys
from pathlib import Path
from actc.cache import take_notices
from actc.cache.store import Cache
rng = random.Random(int(sys.argv[2]))
found = Cache(Path(sys.argv[1]), 300_000)
for turn in range(120):
    number = rng.randrange(6)
    key = hashlib.sha256(str(number).encode()).hexdigest()
    content = {"x": key.encode() * 1000, "y": bytes([number]) * number}
    action = rng.randrange(8)
    if action == 0:
        found.prune(rng.randrange(300_000))
    elif action < 4:
        found.write("placement", key, content)
    else:
        seen = found.read("placement", key)
        assert seen in (None, content), "a wrong entry"
print([str(notice) for notice in take_notices()])
"""


def test_processes_that_hammer_the_same_entries(tmp_path: Path) -> None:
    """All read what was written, whole, while others replace and remove it."""
    root = str(tmp_path / "cache")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda seed: python(_HAMMER, root, str(seed)), range(4)))
    assert [process.stdout for process in done] == ["[]\n"] * 4
    assert not list(tmp_path.rglob(".new-*"))


_WRITER = """
import sys
from pathlib import Path
from actc.cache.store import Cache
found = Cache(Path(sys.argv[1]), 10**9)
print("ready", flush=True)
while True:
    found.write("placement", sys.argv[2], {"x": b"0123456789" * 500_000})
"""


def test_a_writer_that_is_killed(tmp_path: Path) -> None:
    """At any moment: what is there is whole, and what it left is removed later."""
    take_notices()
    found = Cache(tmp_path / "cache", 10**9)
    for turn in range(4):
        command = [sys.executable, "-c", _WRITER, str(found.root), KEY]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(0.03 + 0.017 * turn)
            process.send_signal(signal.SIGKILL)
        seen = found.read("placement", KEY)
        assert seen is None or seen == {"x": b"0123456789" * 500_000}
    assert not take_notices()
    for left in found.root.rglob(".new-*"):
        os.utime(left, (0, 0))
    found.prune()
    assert not list(found.root.rglob(".new-*"))
