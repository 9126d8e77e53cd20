"""Real tools in which one thing goes wrong: scripts that ACTC_<TOOL> names.

A script answers what it is asked about its version as the tool does. Else it fails at once, or
runs the tool and then spoils the files that it wrote.
"""

from __future__ import annotations

from pathlib import Path

from actc.toolchain import variable

FAULTS = {
    "crash": "kill -s SEGV $$",
    "status": r"printf '\377\000\233[31m%%n<script>'; exit 1",
    "nothing": "exit 0",
    "empty": 'written | while read -r file; do : > "$file"; done',
    "garbage": "written | while read -r file; do "
    'head -c 5000 "$file" | tr "\\000-\\177" "\\200-\\377" > g && cat g > "$file"; done; rm -f g',
    "truncated": "written | while read -r file; do "
    'truncate -s $(($(stat -c %s "$file") * 2 / 3)) "$file"; done',
    "hang": "sleep 600",
    "memory": 'ulimit -v 20000; exec "$tool" "$@"',
    "flood": "yes 'a line that says nothing' 2>/dev/null",
    "children": '(sleep 600; touch "$0.lived") & "$tool" "$@"',
}
"""Name of a fault -> what the script does; what spoils files comes behind the tool itself."""
SPOILING = ("empty", "garbage", "truncated")
_SCRIPT = """#!/bin/sh
tool={tool}
case "$*" in *-version*|*-dump*version*|-V) exec "$tool" "$@";; esac
for last; do [ "$before" = -o ] && output=$last; before=$last; done
written() {{ find . "${{output:-.}}" -type f -newer "$0.mark" | sort -u; }}
echo >> "$0.calls"
{run}
{fault}
"""
_RUN = 'touch "$0.mark"; sleep 0.01; "$tool" "$@" || exit'


def faulty(folder: Path, tool: str, path: Path, fault: str) -> dict[str, str]:
    """The environment in which a tool has a fault.

    Args:
        folder: for the script.
        tool: command name.
        path: the tool itself.
        fault: of :data:`FAULTS`.
    """
    script = folder / f"{tool}-{fault}"
    run = _RUN if fault in SPOILING else ""
    script.write_text(_SCRIPT.format(tool=f"'{path}'", run=run, fault=FAULTS[fault]))
    script.chmod(0o755)
    return {variable(tool): str(script)}
