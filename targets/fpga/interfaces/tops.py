"""The text of top modules, with the widths and names of a core."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from actc.targets.fpga.hdl.names import Names
from actc.targets.fpga.interfaces.core import ClockModule, CoreInfo

_HEAD = {
    "uart": "by requests through a serial port, 8N1",
    "spi": "by requests through an SPI port, mode 0",
}
_PORTS = {
    "uart": ("input  clk", "input  uart_rx", "output uart_tx"),
    "spi": (
        "input  clk",
        "input  spi_sck",
        "input  spi_mosi",
        "output spi_miso",
        "input  spi_cs  // low while selected",
    ),
}

_CLOCK = """\
  wire clock;
  wire locked;
  {module} clock_source (.reference(clk), .clk(clock), .locked(locked));
  // Flip-flops begin with their initial values; this holds the ports back until the clock
  // has been stable for a while, and whenever it is not.
  reg [3:0] stable = 4'd0;
  always @(posedge clock or negedge locked)
    if (!locked) stable <= 4'd0;
    else stable <= {{stable[2:0], 1'b1}};
  wire reset = ~stable[3];
"""

_PIN_CLOCK = """\
  wire clock = clk;
  // Flip-flops begin with their initial values; the first clocks after that may be bad.
  reg [3:0] stable = 4'd0;
  always @(posedge clock) stable <= {stable[2:0], 1'b1};
  wire reset = ~stable[3];
"""

_PHY = {
    "uart": """\
  actc_uart_rx #(.DIVISOR({divisor})) port_in (
    .clk(clock), .reset(reset), .rx(uart_rx), .valid(byte_in_valid), .data(byte_in)
  );
  actc_uart_tx #(.DIVISOR({divisor})) port_out (
    .clk(clock), .reset(reset), .tx(uart_tx),
    .valid(byte_out_valid), .ready(byte_out_ready), .data(byte_out)
  );
""",
    "spi": """\
  actc_spi port (
    .clk(clock), .reset(reset),
    .sck(spi_sck), .cs_n(spi_cs), .mosi(spi_mosi), .miso(spi_miso),
    .rx_valid(byte_in_valid), .rx_data(byte_in),
    .tx_valid(byte_out_valid), .tx_ready(byte_out_ready), .tx_data(byte_out)
  );
""",
}

_BOARD = """\
// {core}, asked {how}.
// Requests and answers are frames: see {receiver}.v and {sender}.v.
module {top} (
{ports}
);
{clock}
  wire byte_in_valid, byte_out_valid, byte_out_ready;
  wire [7:0] byte_in, byte_out;
{phy}
{inside}
endmodule
"""

_LINK = """\
  wire request, busy;
  wire [1:0] status;
  wire [5:0] sequence_number;
  wire [{last_in}:0] inputs;
  wire [{last_out}:0] outputs;
  actc_receiver #(.BYTES({bytes_in})) receiver (
    .clk(clock), .reset(reset), .valid(byte_in_valid), .data(byte_in), .busy(busy),
    .request(request), .status(status), .sequence_number(sequence_number), .payload(inputs)
  );
  actc_sender #(
    .BYTES({bytes_out}), .LATENCY({latency}), .IDENTITY(128'h{identity})
  ) sender (
    .clk(clock), .reset(reset), .request(request), .status(status),
    .sequence_number(sequence_number), .outputs(outputs), .busy(busy),
    .valid(byte_out_valid), .ready(byte_out_ready), .data(byte_out)
  );

{body}"""


def board_top(
    kind: str,
    top: str,
    core: str,
    divisor: int,
    clock: ClockModule | None,
    link: tuple[str, str],
    inside: str,
) -> str:
    """A module with the pins of a serial port, and bytes from and to it.

    Args:
        kind: "uart" or "spi".
        top: name of the module.
        core: name of what is inside.
        divisor: clocks per bit of a UART.
        clock: makes the clock; None: the pin `clk` is the clock.
        link: modules that take and make the frames.
        inside: what is between `byte_in_valid`, `byte_in` and `byte_out_valid`,
            `byte_out_ready`, `byte_out`, clocked by `clock`, with `reset`.
    """
    return _BOARD.format(
        core=core,
        how=_HEAD[kind],
        receiver=link[0],
        sender=link[1],
        top=top,
        ports=port_list(_PORTS[kind]),
        clock=_PIN_CLOCK if clock is None else _CLOCK.format(module=clock.module),
        phy=_PHY[kind].format(divisor=divisor),
        inside=inside,
    )


def serial_top(
    kind: str,
    top: str,
    core: CoreInfo,
    identity: bytes,
    divisor: int,
    clock: ClockModule | None,
) -> str:
    """A core behind a serial port.

    Args:
        kind: "uart" or "spi".
        top: name of the module.
        core: what is inside.
        identity: what it says about itself, 16 bytes.
        divisor: clocks per bit of a UART.
        clock: makes the clock; None: the pin `clk` is the clock.
    """
    bytes_in, bytes_out = -(-core.input_bits // 8), -(-core.output_bits // 8)
    inside = _LINK.format(
        last_in=8 * bytes_in - 1,
        last_out=8 * bytes_out - 1,
        bytes_in=bytes_in,
        bytes_out=bytes_out,
        latency=core.latency,
        identity=identity[::-1].hex(),
        body="\n".join(_serial_core(core)),
    )
    link = "actc_receiver", "actc_sender"
    return board_top(kind, top, core.name, divisor, clock, link, inside)


def _serial_core(core: CoreInfo) -> Iterator[str]:
    """The core between the vectors `inputs` and `outputs`, whole bytes each."""
    pins = [".clk(clock)"] if core.clocked else []
    place = 0
    for port in core.inputs:
        pins.append(f".{port.name}(inputs[{place + port.bits - 1}:{place}])")
        place += port.bits
    if place % 8:
        yield f"  wire unused = &{{1'b0, inputs[{8 * (place // 8) + 7}:{place}]}};"
    place = 0
    for port in core.outputs:
        pins.append(f".{port.name}(outputs[{place + port.bits - 1}:{place}])")
        place += port.bits
    if place % 8:
        yield f"  assign outputs[{8 * (place // 8) + 7}:{place}] = {8 - place % 8}'d0;"
    yield from _instance(core.name, "core", pins)


def stream_top(top: str, core: CoreInfo) -> str:
    """A core with a bit beside its data that says when they count.

    New inputs may come in every clock; nothing can hold the outputs back.
    """
    inputs, outputs = stream_ports(top, core)
    widths = {port.name: port.bits for port in (*core.inputs, *core.outputs)}
    pins = [".clk(clk)"] if core.clocked else []
    pins += [f".{port}({name})" for port, name in {**inputs, **outputs}.items()]
    ports = [
        "input  clk",
        "input  in_valid",
        *(f"input  {_vector(widths[port])}{name}" for port, name in inputs.items()),
        "output out_valid",
        *(f"output {_vector(widths[port])}{name}" for port, name in outputs.items()),
    ]
    lines = [
        f"// {core.name}: outputs {core.latency} clocks after their inputs, new ones every clock.",
        f"module {top} (",
        port_list(ports),
        ");",
        *_valids(core),
        *_instance(core.name, "core", pins),
        "endmodule",
    ]
    return "\n".join(lines) + "\n"


def stream_ports(top: str, core: CoreInfo) -> tuple[dict[str, str], dict[str, str]]:
    """Names of the inputs and of the outputs of :func:`stream_top`, by those of the core."""
    names = Names()
    for word in ("clk", "in_valid", "out_valid", "valids", "core", "unused", top):
        names.new(word)
    inputs = {port.name: names.new(f"in_{port.name}") for port in core.inputs}
    outputs = {port.name: names.new(f"out_{port.name}") for port in core.outputs}
    return inputs, outputs


def _valids(core: CoreInfo) -> Iterator[str]:
    if not core.latency:
        yield "  assign out_valid = in_valid;"
        if not core.clocked:
            yield "  wire unused = clk;"
        return
    last = core.latency - 1
    yield f"  reg [{last}:0] valids = {core.latency}'d0;"
    shifted = "in_valid" if not last else f"{{valids[{last - 1}:0], in_valid}}"
    yield f"  always @(posedge clk) valids <= {shifted};"
    yield f"  assign out_valid = valids[{last}];"


def _instance(module: str, name: str, pins: Sequence[str]) -> Iterator[str]:
    yield f"  {module} {name} ("
    yield ",\n".join(f"    {pin}" for pin in pins)
    yield "  );"


def port_list(ports: Sequence[str]) -> str:
    """Ports of a module: one port a line; a comment stays behind its comma."""
    lines = []
    for number, text in enumerate(ports):
        port, _, comment = text.partition("  // ")
        comma = "," if number < len(ports) - 1 else ""
        lines.append(f"  {port}{comma}" + (f"  // {comment}" if comment else ""))
    return "\n".join(lines)


def _vector(width: int) -> str:
    return f"[{width - 1}:0] " if width > 1 else ""
