"""What each case is told: the message of its first error, kept in said.json.

python tests/hostile/said.py [PATTERN]

writes the file from what the commands say now, of all cases or of those with such a name; look at
the difference before you commit it.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from pathlib import Path

_FILE = Path(__file__).with_name("said.json")
_FIRST = re.compile(r"^error\[ACT\d{4}\]: (.*)$", re.MULTILINE)
_MOST = 120


def message(stderr: str) -> str:
    """The beginning of the first error's message; "" where there is none."""
    found = _FIRST.search(stderr)
    return found[1][:_MOST].rstrip() if found else ""


def said() -> dict[str, str]:
    """Name of a case -> what :func:`message` gives for it."""
    return dict(json.loads(_FILE.read_text("utf-8")))


def _write(pattern: str) -> None:
    from hostile.child import Runner
    from hostile.table import CASES

    before = said() if _FILE.is_file() else {}
    found = {case.name: before.get(case.name, "") for case in CASES}
    with tempfile.TemporaryDirectory() as name, Runner(Path(name)) as runner:
        for number, case in enumerate(case for case in CASES if re.search(pattern, case.name)):
            folder = Path(name) / str(number) / "given"
            folder.mkdir(parents=True)
            case.make(folder)
            ended = runner.run(
                folder,
                *case.command,
                seconds=case.seconds,
                mebibytes=case.mebibytes,
                environment=case.environment,
            )
            found[case.name] = message(ended.stderr)
    _FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(_FILE.parent.parent))
    _write(*sys.argv[1:2] or [""])
