"""The oracle of C: what gcc compiles gives the bits of golden.onnx."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import onnx

from actc import toolchain
from actc.ir import islands
from actc.targets.c.host import FLAGS, SIGNATURE, compile_command, execute
from actc.targets.tvm.runtime import prepared
from fuzz.compared import Cpu, batches, compiled, differing
from fuzz.oracles import Case, Mismatch, Oracle

_SANITIZED = ("-fsanitize=undefined,bounds-strict", "-fno-sanitize-recover=all")
"""Addresses are not checked: what a case may allocate is less than that takes."""
_COMPILE_SECONDS = 60.0
_RUN_SECONDS = 60.0


@dataclass(frozen=True)
class C:
    """The C code, by gcc with its checks of undefined behaviour, and golden."""

    name: str = "c"
    every: int = 4
    seconds: float = 120

    def accepts(self, case: Case) -> bool:
        """Where gcc is, activations that the target takes."""
        return shutil.which("gcc") is not None and Cpu().accepts(case)

    def run(self, case: Case) -> list[Mismatch]:
        """Compare on the probe."""
        artifact = compiled(case, "c", **case.options)
        assert artifact.path is not None
        signature = json.loads((artifact.path / SIGNATURE).read_text("utf-8"))
        program = _sanitized(artifact.path, str(signature["name"]))
        golden = islands.session(onnx.load(artifact.path / "golden.onnx"))
        for feeds in batches(case, case.probe):
            arrays = [prepared(feeds, item) for item in signature["inputs"]]
            found = execute([str(program)], arrays, signature["outputs"], seconds=_RUN_SECONDS)
            wrong = differing(found, golden.run(feeds))
            if wrong:
                return [Mismatch("c and golden", wrong)]
        return []


def _sanitized(directory: Path, name: str) -> Path:
    """The example of a directory's C code, compiled with checks."""
    folder = Path(tempfile.mkdtemp())
    for file in (f"{name}.c", f"{name}.h", "main.c"):
        shutil.copy(directory / file, folder)
    command = compile_command(name, "program", (*FLAGS, *_SANITIZED))
    toolchain.run(list(command), timeout=_COMPILE_SECONDS, cwd=folder)
    return folder / "program"


ORACLES: tuple[Oracle, ...] = (C(),)
