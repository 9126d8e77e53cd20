"""A command that says whether a model is interesting: by its exit status, and by what it prints."""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import UsageError

PLACEHOLDER = "{model}"


@dataclass(frozen=True, slots=True)
class Command:
    """Runs a command on a model, without a shell, in the current folder.

    Attributes:
        argv: program and arguments; `{model}` in them stands for the model's file.
        status: with which it ends for an interesting model; -N: killed by signal N.
        text: what it prints for an interesting model, None: anything.
        timeout: seconds after which it is ended; the model is not interesting then.
    """

    argv: tuple[str, ...]
    status: int = 0
    text: str | None = None
    timeout: float = 60.0

    @classmethod
    def parse(
        cls, command: str | Sequence[str], status: int, text: str | None, timeout: float
    ) -> Command:
        """Read a command line or an argument list.

        Raises:
            UsageError: ACT0235, it has no program that exists, no `{model}`, or no closing quote.
        """
        try:
            argv = shlex.split(command) if isinstance(command, str) else list(map(str, command))
        except ValueError as error:
            raise _wrong(f"the check cannot be read: {error}".lower(), command) from error
        if not argv:
            raise _wrong("the check is empty", command)
        if not any(PLACEHOLDER in word for word in argv[1:]):
            raise _wrong(f"the check has no argument {PLACEHOLDER}", command)
        if shutil.which(argv[0]) is None:
            raise _wrong(f"there is no program '{argv[0]}' to check with", command)
        return cls(tuple(argv), status, text, timeout)

    def run(self, model: onnx.ModelProto) -> toolchain.Ended:
        """Run the command on a model."""
        with tempfile.TemporaryDirectory(prefix="actc-reduce-") as folder:
            file = Path(folder) / "model.onnx"
            file.write_bytes(model.SerializeToString(deterministic=True))
            argv = [word.replace(PLACEHOLDER, str(file)) for word in self.argv]
            return toolchain.attempt(argv, timeout=self.timeout)

    def accepts(self, ended: toolchain.Ended) -> bool:
        """Whether an ending is that of an interesting model."""
        return ended.status == self.status and (self.text is None or self.text in ended.output)

    def __call__(self, model: onnx.ModelProto) -> bool:
        """Whether a model is interesting."""
        return self.accepts(self.run(model))


def _wrong(message: str, command: str | Sequence[str]) -> UsageError:
    given = command if isinstance(command, str) else shlex.join(map(str, command))
    return UsageError(
        Diagnostic(
            "ACT0235",
            message,
            notes=(f"given: {given}",),
            help=f'it runs without a shell: --check "python check.py {PLACEHOLDER}"',
        )
    )
