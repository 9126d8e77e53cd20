"""The processes of a network and the queues between them, before they are written as C++.

Where two branches meet again, one of them holds back what the other one still computes. A queue in
front of the meeting place that has room for a whole sample is always long enough: then the fork
can give all of the sample away, so that the slower branch finishes it. Of a branch that comes
straight from the fork only that queue needs the room.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Literal, TypeAlias

from actc.targets.bnn_hls.choice import Choice
from actc.targets.bnn_hls.folding import Option
from actc.targets.bnn_hls.layers import Layer, MatrixLayer, MaximumLayer, Network, Port

Kind: TypeAlias = Literal["unpack", "pack", "narrow", "widen", "fork", "windows", "layer"]

USUAL_DEPTH = 2
"""Words of a queue."""
_SLACK = 64
"""Words beyond a sample: what may be on its way in a pipeline."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A stream between two processes.

    Attributes:
        name: an identifier.
        bits: of a word.
        depth: words that it holds.
    """

    name: str
    bits: int
    depth: int = USUAL_DEPTH


@dataclass(frozen=True, slots=True)
class Process:
    """What runs beside the others.

    Attributes:
        kind: what it is.
        reads, writes: queues.
        numbers: of a process of the library, the arguments of its template; of a layer and its
            windows, the layer's number.
    """

    kind: Kind
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    numbers: tuple[int, ...]


def slot_of(bits: int) -> int:
    """Bits of an element in a word of the border: the next power of two."""
    return 1 << (bits - 1).bit_length()


def taps_at_once(layer: Layer, option: Option) -> int:
    """Taps in a word of a layer's windows."""
    assert isinstance(layer, (MatrixLayer, MaximumLayer))
    rows, columns = layer.window.kernel
    return rows * columns if option.folding.windows == "lines" else 1


def is_flagged(layer: Layer) -> bool:
    """Whether words of windows say which taps are inside of the image."""
    return isinstance(layer, MatrixLayer) and layer.product == "centred xnor"


def window_bits(layer: Layer, option: Option) -> int:
    """Bits of a word of a layer's windows."""
    own = option.reads * layer.input.code.bits + int(is_flagged(layer))
    return taps_at_once(layer, option) * own


@dataclass(frozen=True, eq=False)
class Dataflow:
    """All processes, in an order in which each reads what earlier ones wrote, and their queues."""

    processes: tuple[Process, ...]
    queues: tuple[Queue, ...]


def dataflow(network: Network, choice: Choice) -> Dataflow:
    """The processes of a network that is folded."""
    writer = _Writer(network, choice)
    writer.write()
    return Dataflow(tuple(writer.processes), tuple(writer.queues))


class _Writer:
    def __init__(self, network: Network, choice: Choice) -> None:
        self.network, self.choice = network, choice
        self.processes: list[Process] = []
        self.queues: list[Queue] = []
        self.taken: dict[tuple[int, int], str] = {}

    def write(self) -> None:
        network, choice = self.network, self.choice
        entry, word = network.entry, choice.entry_word
        first = self.queue("input", word * entry.code.bits)
        numbers = (entry.size, slot_of(entry.code.bits), entry.code.bits, word)
        self.processes.append(Process("unpack", ("in",), (first,), numbers))
        self.give(-1, first, word)
        for number, (layer, option) in enumerate(zip(network.layers, choice.options, strict=True)):
            reads = tuple(
                self.converted(self.taken[number, at], layer.inputs[at], source, option.reads)
                for at, source in enumerate(layer.sources)
            )
            if option.folding.windows:
                between = self.queue("windows", window_bits(layer, option))
                self.processes.append(Process("windows", reads, (between,), (number,)))
                reads = (between,)
            given = self.queue(f"layer_{number}", option.gives * layer.output.code.bits)
            self.processes.append(Process("layer", reads, (given,), (number,)))
            self.give(number, given, option.gives)

    def queue(self, hint: str, bits: int, depth: int = USUAL_DEPTH) -> str:
        name = f"{hint}_{len(self.queues)}"
        self.queues.append(Queue(name, bits, depth))
        return name

    def give(self, number: int, name: str, word: int) -> None:
        """Hand a source to all of its readers."""
        network = self.network
        port = network.entry if number < 0 else network.layers[number].output
        readers: list[tuple[int, int] | None] = list(network.readers(number))
        if number == network.exit:
            readers.append(None)
        for left, reader in enumerate(readers):
            own, bits = name, word * port.code.bits
            if left < len(readers) - 1:
                own, name_of_rest = self.queue("copy", bits), self.queue("copy", bits)
                numbers = (port.size // word, bits)
                self.processes.append(Process("fork", (name,), (own, name_of_rest), numbers))
                name = name_of_rest
            if reader is None:
                self.leave(own, port, word)
                continue
            self.deepen(own, reader, port.size // word)
            self.taken[reader] = own

    def deepen(self, name: str, reader: tuple[int, int], words: int) -> None:
        """Make room for a sample where a branch meets a slower one."""
        sources = self.network.layers[reader[0]].sources
        if len(sources) < 2:
            return
        own, other = sources[reader[1]], sources[1 - reader[1]]
        if own != other and self.is_behind(own, other):
            return  # the other one comes straight from where this branch begins
        self.queues = [
            Queue(q.name, q.bits, words + _SLACK) if q.name == name else q for q in self.queues
        ]

    def is_behind(self, number: int, source: int) -> bool:
        """Whether a layer reads a source, through others or not."""
        if number < 0:
            return False
        sources = self.network.layers[number].sources
        return any(s == source or self.is_behind(s, source) for s in sources)

    def converted(self, name: str, port: Port, source: int, reads: int) -> str:
        """A queue of words of `reads` elements."""
        gives = self.choice.entry_word if source < 0 else self.choice.options[source].gives
        return self.words(name, port, gives, reads)

    def words(self, name: str, port: Port, gives: int, reads: int) -> str:
        bits, part = port.code.bits, gcd(gives, reads)
        if part != gives:
            found = self.queue("part", part * bits)
            numbers = (port.size // gives, gives // part, part * bits)
            self.processes.append(Process("narrow", (name,), (found,), numbers))
            name = found
        if part != reads:
            found = self.queue("word", reads * bits)
            numbers = (port.size // reads, reads // part, part * bits)
            self.processes.append(Process("widen", (name,), (found,), numbers))
            name = found
        return name

    def leave(self, name: str, port: Port, word: int) -> None:
        slot = slot_of(port.code.bits)
        part = gcd(word, max(64 // slot, 1))
        name = self.words(name, port, word, part)
        numbers = (port.size, slot, port.code.bits, int(port.code.signed), part)
        self.processes.append(Process("pack", (name,), ("out",), numbers))
