"""What an engineer wants to know of the top module, as the comment in front of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from actc.device.interface import InputFormat, OutputFormat
from actc.targets.fpga.assembly import Assembly
from actc.targets.fpga.hdl.verilog import comment_lines
from actc.targets.fpga.interfaces import stream_ports
from actc.targets.fpga.pipeline import report

_BLANK = " "


def header(assembly: Assembly, device: str) -> str:
    """The comment of the top module of a stream.

    Args:
        device: that the pipeline was planned for, in words.
    """
    return "\n".join(comment_lines(tuple(_lines(assembly, device)))) + "\n"


def _lines(assembly: Assembly, device: str) -> Iterator[str]:
    latency = assembly.interface.latency
    estimate = report(assembly.design, assembly.timing).clock_mhz
    yield f"{assembly.top}: the network {assembly.core}, unrolled by actc. {assembly.core}.v is the"
    yield "same without the valid bit."
    yield _BLANK
    yield "Initiation interval  1 clock: a new sample may come in every clock."
    yield f"Latency              {latency} clocks, from in_valid to out_valid."
    yield f"Clock                planned for {assembly.clock_mhz:g} MHz on {device};"
    yield f"                     estimated {estimate:.0f} MHz, which only routing can confirm."
    yield "Reset                none: out_valid begins low, and samples do not affect each other."
    yield "Back-pressure        none: take the outputs in the clock in which out_valid is high."
    yield _BLANK
    yield "Elements of a tensor lie side by side in row-major order, element 0 in the lowest bits."
    yield "Formulas are in float32; interface.json has all of this for programs."
    inputs, outputs = stream_ports(assembly.top, assembly.info)
    ports = _ports_by_bus(assembly)
    for given in assembly.interface.inputs:
        name = inputs[ports[given.bus]]
        yield _BLANK
        yield _port(name, "the input", given.input, given)
        yield f"  {_code(given)}"
    for found in assembly.interface.outputs:
        name = outputs[ports[found.bus]]
        yield _BLANK
        yield _port(name, "the output", found.output, found)
        yield f"  {_value(found)}"


def _ports_by_bus(assembly: Assembly) -> Mapping[str, str]:
    """Port of the core by the name of its bus."""
    return assembly.hierarchy.ports


def _port(name: str, role: str, tensor: str, item: InputFormat | OutputFormat) -> str:
    bits = item.elements * item.width
    shape = " x ".join(map(str, item.shape)) or "1"
    each = f"{item.width} bits" if item.width > 1 else "1 bit"
    kind = "two's complement" if item.signed else "unsigned"
    return f"{name}[{bits - 1}:0]: {role} {tensor!r}, {shape} elements of {each}, {kind}"


def _code(item: InputFormat) -> str:
    """How an input becomes the integers that the port takes."""
    if item.kind == "quantize":
        zero = f" + {item.zero_point}" if item.zero_point else ""
        return f"code = clip(round_half_even(x / {item.scale!r}){zero}, {item.low}, {item.high})"
    if item.kind == "index":
        return f"code = x where 0 <= x < {item.high}, else {item.high}"
    return f"code = x, {item.low} to {item.high}"


def _value(item: OutputFormat) -> str:
    """What the integers q of the port stand for."""
    if item.kind == "integers":
        return "y = q"
    if item.kind == "codes":
        zero = f"(q - {item.zero_point})" if item.zero_point else "q"
        return f"y = {zero} * {_constant(item.scale, 'scale')}{_where(item)}"
    if item.kind == "accumulator":
        factor = f"q * {item.multiplier}" if item.multiplier != 1 else "q"
        offset = f" + {_constant(item.offset, 'offset')}" if any(item.offset) else ""
        return f"y = ({factor}{offset}) * {_constant(item.scale, 'scale')}{_where(item)}"
    what = {
        "softmax": "y = q / (sum of q): the numerators of a softmax",
        "scores": "q are the scores of a softmax; the largest one is the most likely class",
        "log_softmax": "q are the scores of a log-softmax; the largest is the most likely class",
    }
    return what[item.kind]


def _constant(values: tuple[float, ...] | tuple[int, ...], name: str) -> str:
    """A number, or the name of many."""
    return repr(values[0]) if len(values) == 1 else name


def _where(item: OutputFormat) -> str:
    """Where the numbers are that are too many for a line."""
    many = {"scale": item.scale, "offset": item.offset}
    named = [name for name, values in many.items() if len(values) > 1]
    if not named:
        return ""
    return f", with {' and '.join(named)} along axis {item.axis} as interface.json has them"
