"""actc run: samples through a network in an FPGA, or through a simulation of the board."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

import actc
from actc.cli.console import progress
from actc.cli.options import Debug, Directory, Json
from actc.cli.outcome import Outcome, judged
from actc.errors import ExitStatus


def run(
    directory: Directory,
    port: Annotated[
        str,
        typer.Option(metavar="PORT|sim", help="serial port of the board, or its simulation"),
    ],
    data: Annotated[Path, typer.Option(metavar="DATA.npz", help="arrays as for `actc compile`")],
    output: Annotated[
        Path | None, typer.Option(metavar="OUT.npz", help="file that receives the outputs")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="only the first N samples")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> Outcome:
    """Run samples on a board, and compare with golden.onnx bit for bit."""
    with progress() as show:
        found = actc.run(directory, data, port=port, output=output, samples=samples, progress=show)
    return judged(found, _view(found, output), ExitStatus.BUDGET_MISSED)


def _view(found: Mapping[str, Any], output: Path | None) -> Text:
    traffic, golden = found["traffic"], found["golden"]
    lines = [
        f"{found['name']} on {found['port']}, build {found['build']}",
        f"  {found['samples']} samples in {found['seconds']:.2f} s, "
        f"{found['samples_per_second']:.1f} per second",
    ]
    repeated = traffic["requests"] - traffic["answers"]
    if repeated:
        lines.append(
            f"  {repeated} requests repeated ({traffic['broken']} answers and "
            f"{traffic['refused']} requests broken, {traffic['silences']} silences)"
        )
    if found["accuracy"] is not None:
        lines.append(f"  accuracy {found['accuracy']:.4f}")
    if golden is None:
        lines.append("  there is no golden.onnx to compare with")
    elif golden["bit_exact"]:
        lines.append("  equal to golden.onnx on every bit")
    else:
        lines.append(f"  DIFFERS from golden.onnx on {golden['differing']} samples")
    if output is not None:
        lines.append(f"  outputs in {output}")
    return Text("\n".join(lines))
