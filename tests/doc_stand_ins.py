"""Programs in the place of vendors' tools, or of a defect, for commands that pages show.

What the vendor's HLS tool and Vivado are asked to do is done in `tclsh`, with commands that only
lay down the files that the real ones leave; resources and timing are invented.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from vendor_tools import BANNERS, HLS_COMMANDS, USUAL, UTILIZATION, csynth, timing

_TOP = "@TOP@"
_SAYS_VERSION = """\
#!{python}
import pathlib, subprocess, sys
if sys.argv[1:] in (["-version"], ["--version"]):
    print({banner!r})
    sys.exit(0)
script = pathlib.Path(sys.argv[-1])
assert script.suffix == ".tcl" and script.is_file(), script
"""
_HLS = """\
pathlib.Path("commands.tcl").write_text({commands!r})
pathlib.Path("report.xml").write_text({report!r})
source = "source commands.tcl\\nsource " + script.name
sys.exit(subprocess.run(["tclsh"], input=source, text=True).returncode)
"""
_VIVADO = """\
import re
text = script.read_text()
assert sys.argv[1:4] == ["-mode", "batch", "-source"], sys.argv
name = re.search(r"join \\$folder (\\w+)\\.bit", text)[1]
folder = pathlib.Path("board")
folder.mkdir(exist_ok=True)
(folder / "utilization.txt").write_text({utilization!r})
(folder / "timing.txt").write_text({timing!r})
for end in ("bit", "hwh"):
    (folder / (name + "." + end)).write_bytes(b"")
"""


def vendor_tools(folder: Path) -> None:
    """`vitis-run` and `vivado`, in a folder that goes on PATH."""
    placed = "place $project/$solution/syn"
    commands = HLS_COMMANDS.replace("@REPORT@", "report.xml").replace(
        placed, f"set text [string map [list {_TOP} $top] $text]\n  {placed}"
    )
    _program(folder, "vitis-run", _HLS.format(commands=commands, report=csynth(_TOP)))
    _program(folder, "vivado", _VIVADO.format(utilization=UTILIZATION, timing=timing()))


def _program(folder: Path, name: str, body: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    banner = BANNERS[name].replace("@", USUAL[name])
    path = folder / name
    path.write_text(_SAYS_VERSION.format(python=sys.executable, banner=banner) + body, "utf-8")
    path.chmod(0o755)


def failing_compiler(folder: Path) -> None:
    """`actc`, whose `compile` ends with an internal error for every model with an Erf."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "actc"
    actc = f"exec {shlex.quote(sys.executable)} -m actc"
    path.write_text(f"""\
#!/bin/sh
if [ "$1" = compile ] && grep -q Erf "$2"; then exit 70; fi
if [ "$1" = compile ]; then exit 0; fi
{actc} "$@"
""")
    path.chmod(0o755)


STAND_INS: dict[str, Callable[[Path], None]] = {
    "vendor tools": vendor_tools,
    "a compiler that fails": failing_compiler,
}
