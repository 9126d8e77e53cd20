"""The Verilog files around a core: a generated top, and modules that are the same for all."""

from __future__ import annotations

from importlib import resources
from typing import Literal

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.targets.fpga.interfaces import streams
from actc.targets.fpga.interfaces.core import ClockModule, CoreInfo, StreamCore
from actc.targets.fpga.interfaces.tops import serial_top, stream_top

Kind = Literal["stream", "uart", "spi"]
KINDS: tuple[Kind, ...] = ("stream", "uart", "spi")

_LINK = ("actc_receiver", "actc_sender")
_MODULES: dict[Kind, tuple[str, ...]] = {
    "stream": (),
    "uart": ("actc_uart_rx", "actc_uart_tx", *_LINK),
    "spi": ("actc_spi", *_LINK),
}
RESERVED = frozenset(name for names in _MODULES.values() for name in names)
"""Names of modules that no core and no part of one may have."""
_STREAM_MODULES: dict[Kind, tuple[str, ...]] = {
    "stream": ("actc_frame_slice",),
    "uart": ("actc_uart_rx", "actc_uart_tx", *streams.MODULES),
    "spi": ("actc_spi", *streams.MODULES),
}
STREAM_RESERVED = frozenset(name for names in _STREAM_MODULES.values() for name in names)
"""The same for a :class:`~actc.targets.fpga.interfaces.core.StreamCore`."""

SMALLEST_DIVISOR = 8
"""Clocks per bit that the receiver needs to find the middle of a bit."""
LARGEST_ERROR = 0.015
"""Share by which the rate on the wire may differ from that asked for; 8N1 stands about 4 percent
between both ends."""


def interface_top(kind: Kind, core: CoreInfo | StreamCore) -> str:
    """Name of the top module that :func:`interface_files` makes."""
    return f"{core.name}_{kind}"


def interface_files(
    kind: Kind,
    core: CoreInfo | StreamCore,
    *,
    clock_hz: float | None = None,
    baud: int | None = None,
    build_id: str = "",
    clock: ClockModule | None = None,
    samples: int = streams.SAMPLES,
) -> dict[str, str]:
    """Everything around a core that makes it a design of its own.

    Ports of the tops: ``stream``: clk, in_valid, in_NAME..., out_valid, out_NAME...;
    ``uart``: clk, uart_rx, uart_tx; ``spi``: clk, spi_sck, spi_mosi, spi_miso, spi_cs
    (low while selected). A StreamCore's ``stream`` has the ports of the core.

    Args:
        kind: of the interface.
        core: what it surrounds; its own files are not among the result.
        clock_hz: frequency of the core's clock (behind `clock`), Hz; needed by ``uart``.
        baud: bits per second of ``uart``.
        build_id: 16 hexadecimal digits that tell this design from all others: what a
            board answers when it is asked; needed by ``uart`` and ``spi``.
        clock: makes the clock of the design; None: it is that of the pin `clk`.
            ``stream`` takes none.
        samples: whole ones that the memory in front of a StreamCore has room for, at least;
            see :func:`~actc.targets.fpga.interfaces.streams.in_flight`.

    Returns:
        file name -> Verilog-2005 text, the top (`interface_top`) first.

    Raises:
        UsageError: ACT0596, the rate cannot be made from the clock; ACT0531.
        ValueError: an argument is missing or has no meaning for this kind.
    """
    top = interface_top(kind, core)
    _check_names(kind, core, clock)
    if kind == "stream":
        if clock is not None:
            raise ValueError("a bare stream has its clock from outside")
        if isinstance(core, CoreInfo):
            return {f"{top}.v": stream_top(top, core)}
        around = {f"{module}.v": _text(module) for module in _STREAM_MODULES[kind]}
        return {f"{top}.v": streams.bare_top(top, core), **around}
    divisor = 0
    if kind == "uart":
        if clock_hz is None or baud is None:
            raise ValueError("a UART needs the frequency of the clock and a baud rate")
        divisor = uart_divisor(clock_hz, baud)
    name = identity(core, build_id)
    if isinstance(core, StreamCore):
        text = streams.stream_board_top(kind, top, core, name, divisor, clock, samples)
        modules = _STREAM_MODULES[kind]
    else:
        text, modules = serial_top(kind, top, core, name, divisor, clock), _MODULES[kind]
    around = {f"{module}.v": _text(module) for module in modules}
    return {f"{top}.v": text, **around, **({} if clock is None else clock.files)}


def _check_names(kind: Kind, core: CoreInfo | StreamCore, clock: ClockModule | None) -> None:
    """Refuse a core or a clock with the name of another module.

    Raises:
        ValueError: it has.
    """
    names = {core.name, *(() if clock is None else (clock.module,))}
    reserved = set(STREAM_RESERVED if isinstance(core, StreamCore) else RESERVED)
    reserved |= {interface_top(kind, core)} - {core.name}
    if names & reserved or (clock is not None and clock.module == core.name):
        raise ValueError(f"the names {sorted(names)} are those of parts of the interface")


def uart_divisor(clock_hz: float, baud: int) -> int:
    """Clocks per bit.

    Raises:
        UsageError: ACT0596, less than 8, or too far from the rate asked for.
    """
    divisor = round(clock_hz / baud) if baud > 0 and clock_hz > 0 else 0
    if divisor < SMALLEST_DIVISOR:
        message = f"{baud} baud need a faster clock than {clock_hz / 1e6:g} MHz"
        fastest = int(clock_hz / SMALLEST_DIVISOR)
        raise UsageError(Diagnostic("ACT0596", message, help=f"at most {fastest} baud"))
    actual = clock_hz / divisor
    if abs(actual / baud - 1) > LARGEST_ERROR:
        message = f"a clock of {clock_hz / 1e6:g} MHz gives {actual:.0f} baud, not {baud}"
        help_text = f"take {int(actual)} baud, or a rate below {clock_hz / 34:.0f}"
        raise UsageError(Diagnostic("ACT0596", message, help=help_text))
    return divisor


IDENTITY_VERSION = 1


def identity(core: CoreInfo | StreamCore, build_id: str) -> bytes:
    """What a board says about itself: 16 bytes.

    Version (1 byte), build (8, lowest first), bits of all inputs (3), of all outputs
    (3), a zero.

    Raises:
        ValueError: the build is not given as 16 hexadecimal digits.
    """
    build = bytes.fromhex(build_id)
    if len(build) != 8 or len(build_id) != 16:
        raise ValueError(f"a build has 16 hexadecimal digits, not '{build_id}'")
    sizes = core.input_bits.to_bytes(3, "little") + core.output_bits.to_bytes(3, "little")
    return bytes([IDENTITY_VERSION]) + build[::-1] + sizes + b"\0"


def _text(module: str) -> str:
    folder = resources.files("actc.targets.fpga.interfaces").joinpath("verilog")
    return folder.joinpath(f"{module}.v").read_text("ascii")
