"""Write docs/security.md, the threat model and all cases of hostile input.

python tools/security_page.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "security.md"
sys.path.insert(0, str(ROOT / "tests"))

from hostile.case import Case  # noqa: E402
from hostile.said import said  # noqa: E402
from hostile.table import CASES, GROUPS  # noqa: E402

SAID = said()
_MOST = 80
"""Characters of a message that are shown."""
_ABOUT = """\
# Hostile input

actc reads files that others made: models, data, configurations, and the directories that it
wrote itself. This page says what such a file can and cannot do, and lists the {count} hostile
inputs that the tests try. The tables are generated from the tests.

## What is promised

- **No code of a file runs.** Nothing is unpickled, no shell is started with a name from a file, and
  tools get arguments as vectors.
- **A model reads nothing outside its folder.** External data is opened name by name below the
  folder of the model, without following links that appear meanwhile, and only as regular
  files: pipes and devices cannot block or feed it.
- **Bounded work.** A model with its weights takes 2 GiB at most, and so does each tensor whose
  shape can be inferred; 100,000 nodes with functions written out; a million rounds of a loop. This
  is checked before anything is allocated, expanded or run.
- **A coded diagnostic.** Bad input ends with exit status 2 or 3 and codes that `actc explain`
  explains, never with a traceback. Where memory runs out, also by `ulimit -v`, this is ACT0060.
- **Names are text.** In diagnostics, control characters, line breaks and marks of writing
  direction are shown as escapes, and long names are cut.
- **A changed artefact is refused before anything of it runs.** `check`, `bisect`, `build`, `run`,
  `verify`, `actc.load` and `actc.torch.prepare` first compare every file of the directory with its
  SHA-256 in manifest.json, and refuse what was changed, is missing, or would be read although the
  manifest does not have it (ACT0067); `report` does so for report.json. `build` hands no other
  file to a vendor's tool.
- **Nothing half-done.** A compilation that is refused leaves the output directory as it was.

## What is not

- **Less time than ten minutes a run.** A run of the model on one batch ends after 600 seconds,
  also in a loop whose rounds depend on data; `ACTC_RUN_SECONDS` sets another limit (ACT0063). It
  holds for each run by itself, and an operator that has begun ends first. For a limit on all of
  it, run untrusted models under `timeout`.
- **Memory below the limits.** A legal model may need many times its size. `ulimit -v` sets a lower
  limit. Shapes that only a run shows are bounded by what the machine gives.
- **Bugs in onnx, onnxruntime, protobuf and the tools behind a target.** They read the model in the
  same process or as the same user. For input from strangers, add the sandbox of your system.
- **Hard links.** A hard link in the model's folder is that file; nothing tells it from another.
- **A manifest is no signature.** `actc check` of an artefact loads and runs its machine code
  (model.so), compiles its C, and simulates its Verilog. Digests find damage and mixed-up files, but
  whoever can change a file can change its digest, too, also between the comparison and the run.
  Check and run only artefacts that you built, or whose source you trust.

## The cases

Each runs the command in a process of its own with hard limits of the kernel on processor time,
memory beside what the program itself takes, and file size, unless noted {seconds} seconds and
{mebibytes} MiB. What is expected is the exit status, all codes of errors, and what the first one
says. Status 0 means that the input is unusual, and taken.
"""


def page() -> str:
    """The text of the page."""
    usual = Case("", "", lambda folder: None, 0)
    parts = [_ABOUT.format(count=len(CASES), seconds=usual.seconds, mebibytes=usual.mebibytes)]
    for title, cases in GROUPS:
        rows = "".join(_row(case, usual) for case in cases)
        parts.append(f"### {title}\n\n| input | status | codes | says |\n|---|---|---|---|\n{rows}")
    return "\n".join(parts)


def _row(case: Case, usual: Case) -> str:
    title = case.title if case.command == usual.command else f"{case.title}; `{_command(case)}`"
    if (case.seconds, case.mebibytes) != (usual.seconds, usual.mebibytes):
        title += f" ({case.seconds} s, {case.mebibytes} MiB)"
    cells = [title, str(case.status), " ".join(case.codes), _text(SAID[case.name])]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _text(message: str) -> str:
    """A message as code, so that nothing of it is markup."""
    shown = message if len(message) <= _MOST else message[: _MOST - 3].rstrip() + "..."
    fence = "``" if "`" in shown else "`"
    return f"{fence}{shown}{fence}" if shown else ""


def _command(case: Case) -> str:
    shown = {"reduce", "--sites", "--bound"}
    return " ".join(("actc", case.command[0], *(word for word in case.command if word in shown)))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
