"""Requests and their answers, whatever happens on the wire between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from actc.device import frames
from actc.device.ports import Port
from actc.diagnostics import Diagnostic
from actc.errors import ToolFailed

ATTEMPTS = 4
"""Times in a row that requests are sent again without a single answer."""
_IN_FLIGHT = 16
_BYTES_IN_FLIGHT = 2048
"""Of answers; what drivers hold for a program that is late."""
_NOISE = 4096
"""Bytes without any answer among them that are given up at last."""


@dataclass
class Traffic:
    """What happened on the wire.

    Attributes:
        requests: sent, repetitions included.
        answers: that were right.
        broken: frames from the board with a wrong check.
        refused: frames that the board found broken.
        silences: times that nothing came for too long.
    """

    requests: int = 0
    answers: int = 0
    broken: int = 0
    refused: int = 0
    silences: int = 0


class Exchange:
    """One end of a link: it asks, and asks again what got lost.

    Args:
        port: to the board.
        traffic: counts what happens.
        in_flight: requests that the board keeps; None: it keeps one.
        stale: bytes of answers to others that the board may still have to send.
    """

    def __init__(
        self, port: Port, traffic: Traffic, in_flight: int | None = None, stale: int = 0
    ) -> None:
        self._port, self._traffic = port, traffic
        self._in_flight, self._stale = in_flight, stale
        self._decoder = frames.Decoder()
        self._sequence = 0

    def ask(self, command: int, payloads: Sequence[bytes], size: int) -> list[bytes]:
        """Answers of `size` bytes to all requests, in their order.

        A board that keeps requests has no more than those under way. For one that keeps none,
        a request is longer on the wire than the longest answer can be, by flags behind
        it, so that requests may follow each other without end: the board never has two
        answers waiting. What gets lost or broken is asked again under another number.

        Raises:
            ToolFailed: ACT0592 nothing answers, ACT0594 nothing answers rightly.
        """
        open_ = _Open(command, size, deque(enumerate(payloads)))
        limit = self._limit(size)
        noise = _NOISE + self._stale + ATTEMPTS * limit * frames.longest(size)
        patience = _Patience(ATTEMPTS * limit, noise)
        while len(open_.answers) < len(payloads):
            before = len(open_.answers)
            patience.requests += self._send(open_, limit)
            data = self._port.read()
            patience.noise += len(data)
            for frame in self._decoder.feed(data):
                self._traffic.refused += frame.kind == frames.REFUSED
                open_.take(frame)
            if not data:
                patience.silences += 1
                self._traffic.silences += 1
                open_.give_up()
            self._traffic.answers += len(open_.answers) - before
            self._traffic.broken = self._decoder.broken
            if len(open_.answers) > before:
                patience.renew()
            elif patience.over:
                raise _failed(self._traffic, patience.heard)
        return [open_.answers[number] for number in range(len(payloads))]

    def _limit(self, size: int) -> int:
        """Requests under way."""
        limit = min(_IN_FLIGHT, _BYTES_IN_FLIGHT // frames.longest(size))
        if self._in_flight is None:
            return max(1, limit)
        # One arrives while another is computed, or the wire pauses.
        return min(self._in_flight, max(2, limit))

    def _send(self, open_: _Open, limit: int) -> int:
        """Fill the wire with requests; how many."""
        batch = []
        while open_.queue and len(open_.flying) < limit:
            number, payload = open_.queue.popleft()
            open_.flying[self._sequence] = (number, payload)
            frame = frames.encode(frames.Frame(open_.command, self._sequence, payload))
            batch.append(frame if self._in_flight else _paced(frame, open_.size))
            self._sequence = (self._sequence + 1) % frames.SEQUENCE_NUMBERS
        self._traffic.requests += len(batch)
        if batch:
            self._port.write(b"".join(batch))
        return len(batch)


class _Open:
    """Requests that have no answer yet, and the answers."""

    def __init__(self, command: int, size: int, queue: deque[tuple[int, bytes]]) -> None:
        self.command, self.size, self.queue = command, size, queue
        self.flying: dict[int, tuple[int, bytes]] = {}  # by sequence number, in order of sending
        self.answers: dict[int, bytes] = {}

    def take(self, frame: frames.Frame) -> None:
        """One frame from the board."""
        if frame.sequence not in self.flying:
            return  # an answer to what was given up, or a number that noise made
        lost = []
        # Answers come in the order of the requests: what was sent before has got lost.
        for sequence in list(self.flying):
            number, payload = self.flying.pop(sequence)
            answers = sequence == frame.sequence
            if answers and frame.kind == self.command and len(frame.payload) == self.size:
                self.answers[number] = frame.payload
            else:
                lost.append((number, payload))
            if answers:
                break
        self.queue.extendleft(reversed(lost))

    def give_up(self) -> None:
        """Ask again everything that is on its way."""
        self.queue.extendleft(reversed(self.flying.values()))
        self.flying.clear()


@dataclass
class _Patience:
    """How much may go wrong in a row."""

    most_requests: int
    most_noise: int
    requests: int = 0
    noise: int = 0
    silences: int = 0

    @property
    def over(self) -> bool:
        """Whether to stop."""
        too_much = self.noise > self.most_noise or self.requests > self.most_requests
        return too_much or self.silences >= ATTEMPTS

    @property
    def heard(self) -> bool:
        """Whether anything came at all."""
        return self.noise > 0

    def renew(self) -> None:
        """An answer came."""
        self.requests = self.noise = self.silences = 0


def _paced(request: bytes, size: int) -> bytes:
    """A request that takes at least as long as an answer of `size` bytes can.

    One part in sixteen more, because the two ends have clocks of their own.
    """
    least = frames.longest(size) * 17 // 16 + 2
    return request + bytes([frames.FLAG]) * max(0, least - len(request))


def _failed(traffic: Traffic, heard: bool) -> ToolFailed:
    if not heard:
        return ToolFailed(
            Diagnostic(
                "ACT0592",
                f"nothing answers, {ATTEMPTS} times in a row",
                help="check that this is the board's port, that the board is programmed with "
                "the bitstream of this directory, and that no other program uses the port",
            )
        )
    counts = f"{traffic.broken} broken, {traffic.refused} refused, {traffic.answers} right so far"
    return ToolFailed(
        Diagnostic(
            "ACT0594",
            f"something answers, but not as it should: {counts}",
            help="check the wires, their ground and the baud rate; a lower rate may do",
        )
    )
