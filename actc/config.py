"""actc.toml: options of a compilation and its target, and choices for single places of a model.

[compile]
target = "cpu"
weights = 4

[activations]
"/encoder/Add_3_output_0" = 16

[weights]
"/head/MatMul" = 8

[sites.a3]
form = "pwl"
segments = 8

[target]
clock = 48
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from actc.diagnostics import Diagnostic, DiagnosticSink, Place
from actc.errors import UsageError
from actc.ir.files import read_regular
from actc.numerics.quantization import MAX_BITS
from actc.numerics.weights import SPELLINGS
from actc.passes.site_choices import problems_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG = "actc.toml"
_MOST_LINES = 500  # whose entries have numbers; more take long to find
_TABLES = ("activations", "compile", "sites", "target", "weights")
HARDWARE = (
    "architecture", "clock", "device", "effort", "interface", "latency", "seeds", "tables",
    "throughput",
)  # fmt: skip
"""Keys of the table [target]: options of some targets, as on the command line."""
_TEXTS = (
    "approx", "binarize", "budget", "calibration", "end", "islands", "passes", "precision",
    "rounding", "scales", "target",
)  # fmt: skip
_PATHS = ("data", "output")
_BITS = ("activations", "weights")
_NUMBERS: dict[str, tuple[tuple[type, ...], str, str]] = {
    "groups": ((int,), "a whole number", "inputs per group, 32 say"),
    "max_drop": ((int, float), "a number", "a fraction in 0..1"),
    "tune": ((int,), "a whole number", "candidates of each kernel, 16 say"),
    "tune_seconds": ((int, float), "a number", "seconds, 300 say"),
}
OPTIONS = tuple(sorted((*_TEXTS, *_PATHS, *_BITS, *_NUMBERS)))
"""Keys of the table [compile]: options of `actc.compile`."""


@dataclass(frozen=True, slots=True)
class Config:
    """The contents of a configuration file.

    Attributes:
        path: the file.
        options: of `actc.compile`, by name; paths are relative to the file's directory.
        activations: value name -> bits, 1..16.
        weights: node name -> bits, "2" ... "8", "ternary" or "binary".
        sites: activation -> its options, see `actc.passes.site_choices`.
        target: options of the target, by name.
        lines: (table, key) -> the line where its value ends; of [sites], the site's last.
    """

    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)
    activations: Mapping[str, int] = field(default_factory=dict)
    weights: Mapping[str, str] = field(default_factory=dict)
    sites: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    target: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)

    @property
    def overrides(self) -> dict[str, dict[str, Any]]:
        """What `actc.compile` takes as `overrides`."""
        found: dict[str, dict[str, Any]] = {
            "activations": dict(self.activations),
            "weights": dict(self.weights),
        }
        if self.sites:
            found["sites"] = {name: dict(entry) for name, entry in self.sites.items()}
        return found


def find_config(model: str | Path) -> Path | None:
    """The actc.toml beside a model, None when there is none."""
    path = Path(model).parent / CONFIG
    return path if path.is_file() else None


def read_config(path: str | Path) -> Config:
    """Read a configuration file.

    Raises:
        UsageError: ACT0234, the file cannot be read, or with every entry that is
            unknown or of a wrong type. Names of values and nodes are checked when a
            model is compiled.
    """
    path = Path(path)
    text, found = _load(path)
    sink = DiagnosticSink()
    for name in found:
        if name not in _TABLES:
            where = "a table" if isinstance(found[name], dict) else "an entry"
            sink.add(_unknown(path, f"{where} called '{name}'", name, _TABLES, "its tables are"))
    tables = {name: found.get(name, {}) for name in _TABLES}
    for name, table in tables.items():
        if not isinstance(table, dict):
            sink.add(_wrong(path, name, table, "a table", f"write it as [{name}]"))
            tables[name] = {}
    options = _options(path, tables["compile"], sink)
    activations = {k: v for k, v in tables["activations"].items() if _is_width(path, k, v, sink)}
    weights = {k: str(v) for k, v in tables["weights"].items() if _is_format(path, k, v, sink)}
    sites = {k: v for k, v in tables["sites"].items() if _is_site(path, k, v, sink)}
    target = {k: v for k, v in tables["target"].items() if _is_hardware(path, k, v, sink)}
    if sink.errors:
        raise UsageError(sink.items)
    return Config(path, options, activations, weights, sites, target, _lines(text))


def _lines(text: str) -> dict[tuple[str, str], int]:
    """Where the entries of tables end: the first line up to which the text holds the value."""
    found: dict[tuple[str, str], int] = {}
    values: dict[tuple[str, str], Any] = {}
    lines = text.splitlines(keepends=True)
    for number in range(1, min(len(lines), _MOST_LINES) + 1):
        try:
            tables = tomllib.loads("".join(lines[:number]))
        except tomllib.TOMLDecodeError:  # in the middle of a value
            continue
        for table, entries in tables.items():
            for key, value in entries.items() if isinstance(entries, dict) else ():
                if values.get((table, key)) != value:
                    found[table, key], values[table, key] = number, value
    return found


_LONG = "a whole number has more than 64 bits"


def _load(path: Path) -> tuple[str, dict[str, Any]]:
    try:
        text = read_regular(path).decode("utf-8")
        found = tomllib.loads(text)
        _require_short(found)
        return text, found
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        message = f"cannot read the configuration: {reason}"
    except RecursionError:
        message = "the configuration is not TOML: brackets in brackets, without end"
    except ValueError as error:  # not TOML, or numbers too long
        long = "digits" in str(error) and not isinstance(error, tomllib.TOMLDecodeError)
        message = f"the configuration is not TOML: {_LONG if long else error}"
    raise UsageError(Diagnostic("ACT0234", message, place=Place(str(path))))


def _require_short(value: Any) -> None:
    """ValueError where a whole number has more bits than TOML's have, which Python reads."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(_LONG)
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            _require_short(item)


def _options(path: Path, table: Mapping[str, Any], sink: DiagnosticSink) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in table.items():
        if name not in OPTIONS:
            sink.add(_unknown(path, f"an option '{name}'", name, OPTIONS, "the options are"))
        elif name in _NUMBERS:
            kinds, what, example = _NUMBERS[name]
            if _is_a(value, kinds):
                options[name] = kinds[-1](value)
            else:
                sink.add(_wrong(path, name, value, what, example))
        elif name in _BITS and _is_a(value, (int,)):
            options[name] = str(value)
        elif not isinstance(value, str):
            sink.add(_wrong(path, name, value, "a string", f'write it as {name} = "..."'))
        else:
            options[name] = str(path.parent / value) if name in _PATHS else value
    return options


def _is_width(path: Path, name: str, value: Any, sink: DiagnosticSink) -> bool:
    good = _is_a(value, (int,)) and 1 <= value <= MAX_BITS
    if not good:
        what = f"bits, 1 to {MAX_BITS}"
        sink.add(_wrong(path, name, value, what, f'write it as "{name}" = 8'))
    return good


def _is_format(path: Path, name: str, value: Any, sink: DiagnosticSink) -> bool:
    good = (_is_a(value, (int,)) or isinstance(value, str)) and str(value) in SPELLINGS
    if not good:
        formats = ", ".join(SPELLINGS)
        sink.add(_wrong(path, name, value, "a format of weights", f"choose one of: {formats}"))
    return good


def _is_site(path: Path, name: str, entry: Any, sink: DiagnosticSink) -> bool:
    found = list(problems_of(entry))
    for key, message, help_text in found:
        place = Place(str(path), name)
        sink.add(Diagnostic("ACT0234", f"'{key}' {message}", place=place, help=help_text))
    return not found


def _is_hardware(path: Path, name: str, value: Any, sink: DiagnosticSink) -> bool:
    if name not in HARDWARE:
        what = f"an option '{name}' of a target"
        sink.add(_unknown(path, what, name, HARDWARE, "the options are"))
    elif not _is_a(value, (int, float, str)):
        sink.add(_wrong(path, name, value, "a number or a string", f"write it as {name} = ..."))
    else:
        return True
    return False


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _wrong(path: Path, name: str, value: Any, wanted: str, help_text: str) -> Diagnostic:
    message = f"'{name}' is {value!r}, not {wanted}"
    return Diagnostic("ACT0234", message, place=Place(str(path), name), help=help_text)


def _unknown(path: Path, what: str, name: str, known: Iterable[str], intro: str) -> Diagnostic:
    near = difflib.get_close_matches(name, list(known), n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return Diagnostic(
        "ACT0234",
        f"there is no place for {what}",
        place=Place(str(path), name),
        help=f"{hint}{intro}: {', '.join(known)}",
    )
