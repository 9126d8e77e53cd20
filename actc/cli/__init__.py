"""The command line: parse, call the public API, render. One file per command."""

from actc.cli.application import main

__all__ = ["main"]
