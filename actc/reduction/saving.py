"""Writing a file: all of it or nothing."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError


def save(path: Path, content: bytes) -> None:
    """Put a file with `content` in the place of `path`.

    Raises:
        UsageError: ACT0241, it cannot be written; the earlier file is there still.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(
            Diagnostic(
                "ACT0241",
                f"cannot write the model: {reason}",
                place=Place(str(path)),
                help="give another place with -o FILE",
            )
        ) from error
