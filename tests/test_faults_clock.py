"""A clock that jumps by years, at every look: results, limits of time, locks and the cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import run_process
from installed import needs_gcc

import actc
from actc.cache import Cache
from actc.output import MANIFEST, file_hashes

YEAR = 365 * 86400
# Every second look at the time of day finds it a year ahead, the others a year behind.
JUMPING = f"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static long jump(void) {{
  static int looks;
  return __atomic_add_fetch(&looks, 1, __ATOMIC_RELAXED) % 2 ? {YEAR} : -{YEAR};
}}
int clock_gettime(clockid_t clock, struct timespec *now) {{
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  int status = real(clock, now);
  if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += jump();
  return status;
}}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {{
  struct timespec found;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &found);
  now->tv_sec = found.tv_sec;
  now->tv_usec = found.tv_nsec / 1000;
  return 0;
}}
time_t time(time_t *place) {{
  struct timespec found;
  clock_gettime(CLOCK_REALTIME, &found);
  if (place) *place = found.tv_sec;
  return found.tv_sec;
}}
"""
LOOKS = "import time; found = [time.time() for _ in range(4)]; print(max(found) - min(found))"
LIMIT = """
import time
from pathlib import Path
from actc import replacing, toolchain
from actc.errors import ToolFailed
from actc.output import working_in
start = time.monotonic()
try:
    toolchain.run(["sleep", "60"], timeout=1)
except ToolFailed as problem:
    print(problem.diagnostics[0].code)
with working_in(Path(".")):
    try:
        with replacing.held(Path("."), alone=True):
            print("two hold it")
    except replacing.Busy:
        print("busy")
print(1 < time.monotonic() - start < 30)
"""


@pytest.fixture(scope="module")
def jumping(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the clock jumps."""
    folder = tmp_path_factory.mktemp("clock")
    (folder / "jumping.c").write_text(JUMPING)
    library = folder / "jumping.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), "jumping.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    found = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run([sys.executable, "-c", LOOKS], env=found, capture_output=True, text=True)
    if not float(done.stdout or 0) > YEAR:
        pytest.skip("this Python does not ask the C library for the time")
    return {"LD_PRELOAD": str(library)}


@needs_gcc
def test_a_compilation(tmp_path: Path, model: Path, data: Path, jumping: dict[str, str]) -> None:
    """The same bytes, and seconds that nobody takes for years."""
    options = ("compile", model, "--data", data, "-t", "onnx", "-o", "out")
    done = run_process(tmp_path, *options, environment=jumping)
    assert done.status == 0, done.stderr
    actc.compile(model, "onnx", data=data, output=tmp_path / "quiet")
    manifest = json.loads((tmp_path / "out" / MANIFEST).read_text())
    without = frozenset({MANIFEST, *manifest["not_reproducible"]})
    found = file_hashes(tmp_path / "out", without)
    assert found == manifest["files"] == file_hashes(tmp_path / "quiet", without)
    (took,) = [line for line in done.stdout.splitlines() if line.strip().startswith("took")]
    assert 0 < float(took.split()[1]) < 300


@needs_gcc
def test_limits_and_locks(tmp_path: Path, jumping: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMIT],
        cwd=tmp_path,
        env={**os.environ, **jumping},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.split() == ["ACT0511", "busy", "True"], done.stderr


def test_the_cache_after_a_clock_that_was_ahead(tmp_path: Path) -> None:
    """What was kept then does not push out all that is new until that time has come."""
    kept = Cache(tmp_path / "cache", 1000)
    names = [f"{number:064x}" for number in range(4)]
    for name in names[:2]:
        assert kept.write("placement", name, {"x": bytes(200)})
    ahead = time.time() + YEAR
    for path in (tmp_path / "cache").rglob("0" * 60 + "*"):
        os.utime(path, (ahead, ahead))
    assert kept.write("placement", names[2], {"x": bytes(200)})
    assert kept.write("placement", names[3], {"x": bytes(200)})
    assert kept.read("placement", names[2]) is not None
    assert kept.read("placement", names[3]) is not None
    assert sum(kept.read("placement", name) is not None for name in names[:2]) < 2
    assert kept.prune().damaged == 0


def test_unfinished_files_of_another_time(tmp_path: Path) -> None:
    """They are removed by whoever prunes, whichever way the clock went."""
    kept = Cache(tmp_path / "cache", 1000)
    assert kept.write("placement", "a" * 64, {"x": b"1"})
    (path,) = (tmp_path / "cache").rglob("a" * 64)
    for number, when in enumerate((time.time() - YEAR, time.time() + YEAR, time.time())):
        unfinished = path.with_name(f".new-{number}")
        unfinished.write_bytes(b"part")
        os.utime(unfinished, (when, when))
    assert kept.prune().entries == 2
    assert path.with_name(".new-2").exists()
    assert kept.read("placement", "a" * 64) == {"x": b"1"}
