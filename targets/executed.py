"""Programs that read samples from one file and write results to another."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from actc import tool_results, toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed

Array = np.ndarray[Any, Any]

SOURCE, RESULT = "in.bin", "out.bin"
"""The files, in the working directory."""


def execute(
    command: Sequence[str],
    arrays: Sequence[Array],
    outputs: Sequence[Mapping[str, Any]],
    calls: int,
    *,
    named: bool = True,
    seconds: float,
) -> dict[str, Array]:
    """What a program gives for the inputs of one call after the other.

    Args:
        command: the program, run where the files lie.
        arrays: the inputs, first axis = samples.
        outputs: name, dtype and shape of each output of a call.
        calls: of the network; each takes as many samples as any other.
        named: whether the program takes the files' names.
        seconds: limit.

    Returns:
        output name -> array, first axis = samples.

    Raises:
        ToolFailed: of the program; ACT0515, it wrote nothing; ACT0475, it wrote less or more.
    """
    rows = [np.ascontiguousarray(a).reshape(calls, -1).view(np.uint8) for a in arrays]
    with tempfile.TemporaryDirectory(prefix="actc-run-") as work:
        source, result = Path(work) / SOURCE, Path(work) / RESULT
        source.write_bytes(np.concatenate(rows, axis=1).tobytes())
        argv = [*command, *((source.name, result.name) if named else ())]
        toolchain.run(argv, timeout=seconds, cwd=Path(work))
        found = tool_results.content(result, "the program")
    return unpacked(found, calls, outputs)


def unpacked(content: bytes, calls: int, outputs: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    """The outputs in what a program wrote: for each call one output behind the other.

    Raises:
        ToolFailed: ACT0475, it is less or more.
    """
    counts = [int(np.prod(o["shape"], dtype=np.int64)) for o in outputs]
    sizes = [n * np.dtype(o["dtype"]).itemsize for n, o in zip(counts, outputs, strict=True)]
    if len(content) != calls * sum(sizes):
        raise ToolFailed(
            Diagnostic(
                "ACT0475",
                f"the program wrote {len(content)} bytes instead of {calls * sum(sizes)}",
                help="main.c or the network was changed by hand; compile again",
            )
        )
    table = np.frombuffer(content, np.uint8).reshape(calls, sum(sizes))
    cuts = np.cumsum([0, *sizes])
    return {
        o["name"]: np.ascontiguousarray(table[:, start:end])
        .view(np.dtype(o["dtype"]))
        .reshape(calls * o["shape"][0], *o["shape"][1:])
        for o, start, end in zip(outputs, cuts[:-1], cuts[1:], strict=True)
    }
