"""interface.json, the file of an :class:`~actc.device.interface.Interface`: text and checks.

It is written beside the bitstream, and read by whoever asks the board.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from actc.device.interface import InputFormat, Interface, OutputFormat, Simulation
from actc.device.logarithm import TABLES
from actc.device.members import Members, Wrong, require
from actc.device.validity import check
from actc.diagnostics import Diagnostic, Place
from actc.errors import UsageError

FILE = "interface.json"
FORMAT = 1
"""Version of the file."""


def interface_of(
    description: Mapping[str, Any],
    *,
    name: str,
    kind: str,
    build: str,
    latency: int,
    output_buses: Sequence[str],
    clock_hz: float | None = None,
    baud: int | None = None,
    simulation: Simulation | None = None,
    in_flight: int | None = None,
) -> Interface:
    """The interface of a network.

    Args:
        description: ``inputs`` and ``outputs`` as `Network.interface()` gives them; each may
            have ``axes``.
        name, kind, build, latency, output_buses, clock_hz, baud, simulation, in_flight: as
            in :class:`~actc.device.interface.Interface`.

    Raises:
        ValueError: the description is not complete or contradicts itself.
    """
    try:
        read = Members(description, "the description")
        found = Interface(
            name,
            kind,
            build,
            latency,
            tuple(map(_input, read.objects("inputs"))),
            tuple(map(_output, read.objects("outputs"))),
            tuple(output_buses),
            clock_hz,
            baud,
            simulation,
            in_flight,
        )
        check(found)
    except Wrong as problem:
        raise ValueError(str(problem)) from problem
    return found


def interface_text(interface: Interface) -> str:
    """The text of interface.json; equal interfaces give equal bytes.

    Raises:
        ValueError: the interface could not be read again.
    """
    try:
        check(interface)
    except Wrong as problem:
        raise ValueError(str(problem)) from problem
    document = {"format": FORMAT, **asdict(interface)}
    for output in document["outputs"]:
        output.update(output.pop("tables"))
    for tensor in (*document["inputs"], *document["outputs"]):
        if not tensor["axes"]:
            del tensor["axes"]
    if interface.in_flight is None:
        del document["in_flight"]
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def write_interface(directory: Path, interface: Interface) -> None:
    """Write interface.json into a directory."""
    (directory / FILE).write_text(interface_text(interface), encoding="utf-8")


def read_interface(directory: str | Path) -> Interface:
    """Read interface.json of a directory.

    Raises:
        UsageError: ACT0590, there is none, or it is damaged.
    """
    path = Path(directory) / FILE
    try:
        return _interface(json.loads(path.read_text(encoding="utf-8")))
    except OSError as problem:
        reason = (problem.strerror or type(problem).__name__).lower()
        raise _unreadable(path, f"cannot read {FILE}: {reason}") from problem
    except Wrong as problem:
        raise _unreadable(path, f"{FILE} is damaged: {problem}") from problem
    except (ValueError, RecursionError) as problem:
        raise _unreadable(path, f"{FILE} is not JSON") from problem


def require_files(directory: Path, names: Iterable[str]) -> None:
    """Refuse a directory that lacks some of its files.

    Raises:
        UsageError: ACT0599.
    """
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more files are" if missing[1:] else " is"
        raise UsageError(
            Diagnostic(
                "ACT0599",
                f"{missing[0]}{more} missing",
                place=Place(str(directory)),
                help="copy the directory as a whole, or compile again",
            )
        )


def _unreadable(path: Path, message: str) -> UsageError:
    help_text = "give the directory that `actc compile --target BOARD -o DIR` wrote"
    return UsageError(Diagnostic("ACT0590", message, place=Place(str(path)), help=help_text))


def _interface(document: Any) -> Interface:
    require(isinstance(document, dict), "it is not an object")
    require(document.get("format") == FORMAT, f"its format is not {FORMAT}")
    read = Members(document, "the interface")
    given = document.get("simulation")
    found = Interface(
        name=read.text("name"),
        kind=read.text("kind"),
        build=read.text("build"),
        latency=read.whole("latency"),
        inputs=tuple(map(_input, read.objects("inputs"))),
        outputs=tuple(map(_output, read.objects("outputs"))),
        output_buses=read.texts("output_buses"),
        clock_hz=None if document.get("clock_hz") is None else read.number("clock_hz"),
        baud=None if document.get("baud") is None else read.whole("baud"),
        simulation=None if given is None else _simulation(given),
        in_flight=None if document.get("in_flight") is None else read.whole("in_flight"),
    )
    check(found)
    return found


def _input(document: Mapping[str, Any]) -> InputFormat:
    read = Members(document, "an input")
    return InputFormat(
        input=read.text("input"),
        low=read.whole("low"),
        high=read.whole("high"),
        scale=read.number("scale", 1.0),
        **_tensor(read),
    )


def _output(document: Mapping[str, Any]) -> OutputFormat:
    read = Members(document, "an output")
    return OutputFormat(
        output=read.text("output"),
        scale=read.numbers("scale", (1.0,)),
        offset=read.wholes("offset", (0,)),
        axis=read.whole("axis", 1),
        multiplier=read.whole("multiplier", 1),
        tables={name: read.wholes(name) for name in TABLES if name in document},
        **_tensor(read),
    )


def _tensor(read: Members) -> dict[str, Any]:
    """What inputs and outputs share."""
    return {
        "bus": read.text("bus"),
        "dtype": read.text("dtype"),
        "shape": read.wholes("shape"),
        "width": read.whole("width"),
        "signed": read.boolean("signed"),
        "kind": read.text("kind"),
        "zero_point": read.whole("zero_point", 0),
        "axes": read.wholes("axes", ()),
    }


def _simulation(document: Any) -> Simulation:
    require(isinstance(document, dict), "'simulation' is not an object")
    read = Members(document, "the simulation")
    return Simulation(read.text("top"), read.texts("files"), read.text("clock_module"))
