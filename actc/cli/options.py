"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="a trained ONNX model")]
Directory = Annotated[Path, typer.Argument(metavar="DIR", help="written by `actc compile`")]

# main() reads these two from the argument list, as they must also hold where
# parsing fails; here they are known to the parser and to --help.
Json = Annotated[bool, typer.Option("--json", help="print one JSON document, also on failure")]
Debug = Annotated[
    bool, typer.Option("--debug", help="show the traceback of an internal error (or ACTC_DEBUG=1)")
]
