"""Serial ports around a core that takes its inputs word by word and gives its outputs so.

Requests are kept in a memory until the core takes them; the core waits while an answer
before its own is sent. So a host may have several requests under way, and loses none while
it has at most :func:`in_flight` of them.
"""

from __future__ import annotations

from actc.targets.fpga.interfaces.core import ClockModule, StreamCore
from actc.targets.fpga.interfaces.tops import board_top

MODULES = (
    "actc_frame_receiver",
    "actc_frame_memory",
    "actc_frame_feeder",
    "actc_frame_queue",
    "actc_frame_collector",
    "actc_frame_sender",
    "actc_frame_slice",
)
"""Between the bytes of a port and the words of a core."""

SAMPLES = 2
"""Whole samples that there is room for, at least: one arrives while another is computed."""
MOST_IN_FLIGHT = 16
"""Requests under way, at most: far fewer than there are sequence numbers."""

_LEAST_ADDRESS = 9
"""Bits of an address of the smallest memory for requests: one block memory of an iCE40."""
_LEAST_ANSWERS = 4
"""The same of the memory for answers."""

_INSIDE = """\
  wire request_valid, request_ready;
  wire [7:0] request;
  actc_frame_receiver #(.BYTES({bytes_in}), .ADDRESS({address})) receiver (
    .clk(clock), .reset(reset), .valid(byte_in_valid), .data(byte_in),
    .out_valid(request_valid), .out_ready(request_ready), .out_data(request)
  );
  wire asked_valid, asked_ready, header_valid, header_ready;
  wire [7:0] asked, header;
  wire word_valid, word_ready, in_valid, in_ready;
  wire [{last_in}:0] word, in_data;
  wire out_valid, out_ready, result_valid, result_ready;
  wire [{last_out}:0] out_data, result;
  actc_frame_feeder #(.BYTES({bytes_in}), .IN({in_bits}), .BITS({in_rest})) feeder (
    .clk(clock), .reset(reset),
    .valid(request_valid), .ready(request_ready), .data(request),
    .header_valid(asked_valid), .header_ready(asked_ready), .header(asked),
    .word_valid(word_valid), .word_ready(word_ready), .word(word)
  );
  actc_frame_slice #(.BITS({in_bits})) slice_in (
    .clk(clock), .reset(reset), .in_valid(word_valid), .in_ready(word_ready), .in_data(word),
    .out_valid(in_valid), .out_ready(in_ready), .out_data(in_data)
  );
  actc_frame_queue queue (
    .clk(clock), .reset(reset),
    .in_valid(asked_valid), .in_ready(asked_ready), .in_data(asked),
    .out_valid(header_valid), .out_ready(header_ready), .out_data(header)
  );

  reg core_reset = 1'b0;  // some flip-flops can only begin with 0: no inverter behind it
  always @(posedge clock) core_reset <= reset;
  {core} core (
    .clk(clock), .reset(core_reset),
    .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );

  actc_frame_slice #(.BITS({out_bits})) slice_out (
    .clk(clock), .reset(reset), .in_valid(out_valid), .in_ready(out_ready), .in_data(out_data),
    .out_valid(result_valid), .out_ready(result_ready), .out_data(result)
  );

  wire complete, begin_next, body_next;
  wire [7:0] body;
  actc_frame_collector #(
    .BYTES({bytes_out}), .OUT({out_bits}), .BITS({out_rest}), .ADDRESS({address_out})
  ) collector (
    .clk(clock), .reset(reset),
    .word_valid(result_valid), .word_ready(result_ready), .word(result),
    .complete(complete), .begin_next(begin_next), .next(body_next), .data(body)
  );
  actc_frame_sender #(
    .BYTES({bytes_out}), .IDENTITY(128'h{identity})
  ) sender (
    .clk(clock), .reset(reset),
    .header_valid(header_valid), .header_ready(header_ready), .header(header),
    .complete(complete), .begin_next(begin_next), .body_next(body_next), .body(body),
    .valid(byte_out_valid), .ready(byte_out_ready), .data(byte_out)
  );"""


_BARE = """\
// {core}, whose streams begin and end in flip-flops.
module {top} (
  input  clk,
  input  reset,
  input  in_valid,
  output in_ready,
  input  [{last_in}:0] in_data,
  output out_valid,
  input  out_ready,
  output [{last_out}:0] out_data
);
  wire word_valid, word_ready, result_valid, result_ready;
  wire [{last_in}:0] word;
  wire [{last_out}:0] result;
  actc_frame_slice #(.BITS({in_bits})) slice_in (
    .clk(clk), .reset(reset), .in_valid(in_valid), .in_ready(in_ready), .in_data(in_data),
    .out_valid(word_valid), .out_ready(word_ready), .out_data(word)
  );
  reg core_reset = 1'b0;  // some flip-flops can only begin with 0: no inverter behind it
  always @(posedge clk) core_reset <= reset;
  {core} core (
    .clk(clk), .reset(core_reset),
    .in_valid(word_valid), .in_ready(word_ready), .in_data(word),
    .out_valid(result_valid), .out_ready(result_ready), .out_data(result)
  );
  actc_frame_slice #(.BITS({out_bits})) slice_out (
    .clk(clk), .reset(reset),
    .in_valid(result_valid), .in_ready(result_ready), .in_data(result),
    .out_valid(out_valid), .out_ready(out_ready), .out_data(out_data)
  );
endmodule
"""


def bare_top(top: str, core: StreamCore) -> str:
    """A core with its own ports."""
    return _BARE.format(
        top=top,
        core=core.name,
        in_bits=core.in_bits,
        out_bits=core.out_bits,
        last_in=core.in_bits - 1,
        last_out=core.out_bits - 1,
    )


def in_flight(core: StreamCore, samples: int = SAMPLES) -> int:
    """Requests that a host may have under way: the samples that the board has room for.

    Args:
        core: what computes them.
        samples: how many there must be room for, 1 to 16; often there is room for more.

    Raises:
        ValueError: so many are not possible.
    """
    room: int = (1 << _address(core, samples)) // (_bytes(core.input_bits) + 1)
    return min(MOST_IN_FLIGHT, room)


def memory_bytes(core: StreamCore, samples: int = SAMPLES) -> tuple[int, int]:
    """Bytes of the memories for requests and for answers; both have one port to write and one
    to read.

    Raises:
        ValueError: as :func:`in_flight`.
    """
    return 1 << _address(core, samples), 1 << _answers_address(core)


def stream_board_top(
    kind: str,
    top: str,
    core: StreamCore,
    identity: bytes,
    divisor: int,
    clock: ClockModule | None,
    samples: int,
) -> str:
    """A core behind a serial port.

    Args:
        kind: "uart" or "spi".
        top: name of the module.
        core: what is inside.
        identity: what it says about itself, 16 bytes.
        divisor: clocks per bit of a UART.
        clock: makes the clock; None: the pin `clk` is the clock.
        samples: whole ones that there must be room for.
    """
    inside = _INSIDE.format(
        core=core.name,
        bytes_in=_bytes(core.input_bits),
        bytes_out=_bytes(core.output_bits),
        in_bits=core.in_bits,
        out_bits=core.out_bits,
        last_in=core.in_bits - 1,
        last_out=core.out_bits - 1,
        in_rest=(core.input_bits - 1) % 8 + 1,
        out_rest=(core.output_bits - 1) % 8 + 1,
        address=_address(core, samples),
        address_out=_answers_address(core),
        identity=identity[::-1].hex(),
    )
    link = "actc_frame_receiver", "actc_frame_sender"
    return board_top(kind, top, core.name, divisor, clock, link, inside)


def _bytes(bits: int) -> int:
    return -(-bits // 8)


def _address(core: StreamCore, samples: int) -> int:
    """Bits of an address of the memory for requests: a header and the payload of each."""
    if not 1 <= samples <= MOST_IN_FLIGHT:
        raise ValueError(f"there is room for 1 to {MOST_IN_FLIGHT} samples, not {samples}")
    return max(_LEAST_ADDRESS, (samples * (_bytes(core.input_bits) + 1) - 1).bit_length())


def _answers_address(core: StreamCore) -> int:
    """Bits of an address of the memory for answers: a whole one."""
    return max(_LEAST_ANSWERS, (_bytes(core.output_bits) - 1).bit_length())
