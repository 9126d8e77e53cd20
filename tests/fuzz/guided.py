"""Coverage-guided fuzzing of what reads untrusted files, with atheris.

`python -m fuzz.guided --minutes 10` (with tests/ on PYTHONPATH), or `make fuzz-guided
MINUTES=10`: each target as long. Findings, one input each, lie in the folder of `--output`,
beside what the fuzzer learnt, from which it goes on the next time.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import random
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

TARGETS = ("model", "expression", "certificate", "config", "data", "manifest", "board")
_SECONDS = 30
"""For one input; a longer one is a finding."""
_MEGABYTES = 3000
_BYTEWISE = 0.1
"""How often a structured input is changed byte by byte."""
_SHORTEST = 5.0
_INSTRUMENTED = (
    "actc.approx", "actc.config", "actc.data", "actc.function_names", "actc.ir", "actc.recorded",
    "actc.rms_fitting", "actc.targets.fpga.boards", "actc.verified_document", "actc.verifying",
)  # fmt: skip
"""What guides the search; all of the compiler would take a minute to instrument."""


def main(arguments: list[str] | None = None) -> int:
    """Fuzz the targets in turn; 1 if something was found."""
    parser = argparse.ArgumentParser(description="Coverage-guided fuzzing of the readers.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    parser.add_argument("--minutes", type=float, default=1.0, help="for each target")
    parser.add_argument("--output", type=Path, default=Path(".cache/fuzz-guided"))
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.targets) - set(TARGETS))
    if unknown:
        parser.error(f"no target is called {unknown[0]}; there are {', '.join(TARGETS)}")
    if importlib.util.find_spec("atheris") is None:
        print("atheris is not installed: pip install atheris==3.0.0 (Python 3.11 to 3.13)")
        return 0
    found = 0
    for name in given.targets or TARGETS:
        found += _fuzz(name, given.minutes * 60, given.output / name)
    return 1 if found else 0


def _fuzz(name: str, seconds: float, folder: Path) -> int:
    """Fuzz one target; how many findings there are."""
    findings = folder / "findings"
    for path in (findings, folder / "learnt"):
        path.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > _SHORTEST:
        command = [sys.executable, "-m", "fuzz.guided_process", name, str(folder), str(int(left))]
        done = subprocess.run(command, check=False)
        if done.returncode:  # it died at an input, which it left; another one goes on
            print(f"{name}: a process ended with {done.returncode}", flush=True)
    listed = sorted(path for path in findings.iterdir() if path.suffix != ".txt")
    for path in listed:
        print(f"{name}: {path}")
    print(f"{name}: {len(listed)} findings", flush=True)
    return len(listed)


def fuzz_in_this_process(name: str, folder: Path, seconds: int) -> None:
    """Fuzz a target until the time is over; does not return."""
    import atheris  # type: ignore[import-untyped, import-not-found, unused-ignore]

    with atheris.instrument_imports(include=["actc"], exclude=_not_instrumented()):
        from fuzz.guided_targets import Target, targets
    target: Target = targets()[name]

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        draw = random.Random(seed)
        changed = None
        if target.mutate is not None and draw.random() > _BYTEWISE:
            changed = target.mutate(data, draw)
        return changed if changed and len(changed) <= most else bytes(atheris.Mutate(data, most))

    seeds = folder / "seeds"
    seeds.mkdir(exist_ok=True)
    for path in target.seeds():
        (seeds / path.name).write_bytes(path.read_bytes())
    flags = (
        f"-max_total_time={seconds}", f"-timeout={_SECONDS}", f"-rss_limit_mb={_MEGABYTES}",
        f"-max_len={target.most}", f"-artifact_prefix={folder / 'findings'}{os.sep}",
        "-print_final_stats=1", "-verbosity=0",
    )  # fmt: skip
    atheris.Setup(
        ["fuzz", *flags, str(folder / "learnt"), str(seeds)],
        lambda data: _tried(target, data, folder / "findings"),
        **({"custom_mutator": mutate} if target.mutate else {}),
    )
    atheris.Fuzz()


def _not_instrumented() -> list[str]:
    """The compiler's other modules, as yet not imported."""
    spec = importlib.util.find_spec("actc")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    files = [path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in files]
    return sorted(name for name in names if not name.startswith(_INSTRUMENTED))


def _tried(target: Any, data: bytes, findings: Path) -> None:
    """Read one input, and keep it if it finds something new."""
    try:
        target.check(data)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        ours = [f for f in traceback.extract_tb(error.__traceback__) if "/actc/" in f.filename]
        place = ours[-1] if ours else last
        key = f"{type(error).__name__} {Path(place.filename).name} {place.name}"
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        path = findings / f"{target.name}-{digest}"
        if not path.exists():
            print(f"{target.name}: {key}: {str(error)[:200]!r}", flush=True)
            path.write_bytes(data)
            text = "".join(traceback.format_exception(error))
            path.with_suffix(".txt").write_text(text, encoding="utf-8", errors="replace")


if __name__ == "__main__":
    sys.exit(main())
