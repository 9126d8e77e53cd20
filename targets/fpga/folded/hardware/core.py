"""The core of a folded network: its stages, and the streams between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

from actc.targets.fpga.folded.folding import Folding, engine_members, engine_problem
from actc.targets.fpga.folded.hardware.engine import (
    LIBRARY,
    Engine,
    engine_of,
    engine_pins,
    engine_wires,
    member_part,
    member_pins,
)
from actc.targets.fpga.folded.hardware.lags import queue_elements
from actc.targets.fpga.folded.hardware.matrix import window_part
from actc.targets.fpga.folded.hardware.options import HardwareOptions
from actc.targets.fpga.folded.hardware.parts import (
    Part,
    Words,
    clock_pins,
    instance,
    library_files,
    module_text,
    stream_in,
    stream_out,
    stream_pins,
    vector,
)
from actc.targets.fpga.folded.hardware.pointwise import element_part
from actc.targets.fpga.folded.program import (
    FoldedProgram,
    MapStage,
    MatrixStage,
    MaximumStage,
    ProductStage,
    RecurrentStage,
    SumStage,
)
from actc.targets.fpga.folded.recurrent.hardware import recurrent_part
from actc.targets.fpga.hdl.names import PORT_WORDS, Names, identifier

_SHORT = 32
"""Words up to which a queue is no block memory."""
_HALF = 24
"""Characters of a part of a name: behind it, names are not cut."""
ENGINE = "engine"
"""What instances of engines are called like."""


@dataclass(frozen=True, eq=False)
class FoldedDesign:
    """A folded network in Verilog.

    Attributes:
        name: of the top module.
        program: what it computes.
        foldings: of its stages.
        options: that it was built with.
        files: file name -> Verilog, the top module's first.
        input, output: what its streams carry in a clock.
        instances: of the stages, in order.
        engines: instance of what stages share, by the number of the engine.
    """

    name: str
    program: FoldedProgram
    foldings: tuple[Folding, ...]
    options: HardwareOptions
    files: Mapping[str, str]
    input: Words
    output: Words
    instances: tuple[str, ...]
    engines: Mapping[int, str]

    @property
    def input_words(self) -> int:
        """Words of a sample."""
        return self.program.entries[0].size // self.input.elements

    @property
    def output_words(self) -> int:
        """Words of a result."""
        return self.program.stream(self.program.exits[0]).size // self.output.elements


def folded_design(
    program: FoldedProgram,
    foldings: Sequence[Folding],
    name: str,
    options: HardwareOptions,
    entry_word: int,
) -> FoldedDesign:
    """The hardware of a program.

    Args:
        foldings: one per stage; those of one engine agree, see
            :func:`~actc.targets.fpga.folded.folding.engine_problem`.
        name: of the top module, a plain identifier; all its own modules begin with it.
        entry_word: elements of an input word.

    Raises:
        UsageError: ACT0561, the clock cannot be reached.
        ValueError: there is more than one entry or exit, or stages cannot share an engine.
    """
    if len(program.entries) != 1 or len(program.exits) != 1:
        raise ValueError("a core has one stream in and one out")
    if problem := engine_problem(program.stages, foldings):
        raise ValueError(problem)
    names = Names()
    for word in (*PORT_WORDS, name):
        names.reserve(word)
    instances = [names.new(_instance(stage.name)) for stage in program.stages]
    engines = {
        number: engine_of(
            program, members, [foldings[m] for m in members], _module(name, number, ENGINE), options
        )
        for number, members in engine_members(foldings).items()
    }
    scopes = {number: names.new(ENGINE) for number in engines}
    parts = [
        _part(program, number, folding, _module(name, number, own), options, engines)
        for number, (folding, own) in enumerate(zip(foldings, instances, strict=True))
    ]
    core = _Core(program, parts, instances, options, entry_word, engines, scopes)
    for number in [-1, *range(len(parts))]:
        core.connect(number)
    ports = ["input clk", "input reset", *stream_in("in", core.input.bits)]
    ports += stream_out("out", core.output.bits)
    taken = program.entries[0].size // core.input.elements
    given = program.stream(program.exits[0]).size // core.output.elements
    comment = f"A sample is {taken} words in and {given} words out."
    text = module_text([comment], name, ports, core.body)
    files = {f"{name}.v": text}
    for part in parts:
        files.update(part.files)
    for engine in engines.values():
        files.update(engine.files)
    files.update(library_files(core.library))
    return FoldedDesign(
        name,
        program,
        tuple(foldings),
        options,
        files,
        core.input,
        core.output,
        tuple(instances),
        scopes,
    )


def _instance(layer: str) -> str:
    """What a layer's instance is called like: not as what is made of the input's wires."""
    name = identifier(layer)
    return f"layer_{name}" if name.lower().startswith("in_") else name


def _module(name: str, number: int, instance: str) -> str:
    """The module of a stage: its number keeps what other modules add to names apart."""
    return f"{name[:_HALF]}_{number}_{instance[:_HALF]}".strip("_")


def _part(
    program: FoldedProgram,
    number: int,
    folding: Folding,
    module: str,
    options: HardwareOptions,
    engines: Mapping[int, Engine],
) -> Part:
    stage = program.stages[number]
    if folding.engine:
        return member_part(program, number, folding, module, engines[folding.engine], options)
    if isinstance(stage, (MatrixStage, MaximumStage)):
        return window_part(program, stage, folding, module, options)
    if isinstance(stage, RecurrentStage):
        return recurrent_part(program, stage, folding, module, options)
    assert isinstance(stage, (SumStage, ProductStage, MapStage)), "there are no others"
    return element_part(program, stage, folding, module, options)


class _Core:
    """The text of the top module so far.

    Attributes:
        body: its lines.
        library: modules of the library in it.
        input, output: words of its streams.
    """

    def __init__(
        self,
        program: FoldedProgram,
        parts: Sequence[Part],
        instances: Sequence[str],
        options: HardwareOptions,
        entry_word: int,
        engines: Mapping[int, Engine],
        scopes: Mapping[int, str],
    ) -> None:
        self._program, self._parts, self._options = program, parts, options
        self._instances, self._engines, self._scopes = instances, engines, scopes
        self.body: list[str] = []
        self.library = {name for part in parts for name in part.library}
        self.library.update(LIBRARY if engines else ())
        self.input = Words(entry_word, program.entries[0].range.width)
        self.output = Words(1, 1)

    def connect(self, number: int) -> None:
        """A source: its instance, and its streams to all that read it."""
        if number >= 0:
            self._instance(number)
        words = self.input if number < 0 else self._parts[number].output
        source = "in" if number < 0 else f"{self._instances[number]}__out"
        ends = self._ends(number)
        if len(ends) > 1:
            source = self._fork(source, words, len(ends))
        for place, (end, wanted, kept) in enumerate(ends):
            own = f"{source}{place}" if len(ends) > 1 else source
            self._carry(own, words, end, wanted, kept)

    def _ends(self, number: int) -> list[tuple[str, Words | None, int]]:
        """Streams that a source goes to: wires, what they carry, elements to be kept."""
        found: list[tuple[str, Words | None, int]] = []
        for reader, stage in enumerate(self._program.stages):
            kept = queue_elements(self._program, reader)
            for place, source in enumerate(stage.sources):
                if source == number:
                    port = ("in", "other")[place]
                    words = self._parts[reader].inputs[place]
                    found.append((f"{self._instances[reader]}__{port}", words, kept[place]))
        if number in self._program.exits:
            found.append(("out", None, 0))
        return found

    def _instance(self, number: int) -> None:
        part, own = self._parts[number], self._instances[number]
        pins = clock_pins()
        for port in ("in", "other")[: len(part.inputs)]:
            pins |= stream_pins(port, f"{own}__{port}")
        self._wires(f"{own}__out", part.output.bits)
        pins |= stream_pins("out", f"{own}__out")
        if not part.engine:
            self.body += instance(part.module, own, pins)
            return
        engine, scope = self._engines[part.engine], self._scopes[part.engine]
        if number == engine.members[0]:
            self.body += engine_wires(engine, scope)
            self.body += instance(engine.module, scope, engine_pins(engine, scope))
        pins |= member_pins(engine, engine.members.index(number), scope)
        self.body += instance(part.module, own, pins)

    def _wires(self, name: str, bits: int) -> None:
        self.body += [f"wire {name}_valid, {name}_ready;", f"wire {vector(bits)}{name}_data;"]

    def _fork(self, source: str, words: Words, count: int) -> str:
        self.library.add("actc_fork")
        name = f"{source}_fork"
        pins = clock_pins() | {"in_valid": f"{source}_valid", "in_ready": f"{source}_ready"}
        streams = [f"{name}{place}" for place in range(count)]
        for stream in streams:
            self._wires(stream, words.bits)
            self.body.append(f"assign {stream}_data = {source}_data;")
        for part in ("valid", "ready"):
            joined = ", ".join(f"{stream}_{part}" for stream in reversed(streams))
            pins[f"out_{part}"] = f"{{{joined}}}"
        self.body += instance("actc_fork", name, pins, {"COUNT": count})
        return name

    def _carry(self, source: str, words: Words, end: str, wanted: Words | None, kept: int) -> None:
        """A stream through a queue and converters to where it is read."""
        if kept:
            source = self._queue(source, words, -(-kept // words.elements))
        if wanted is None:
            self.output = wanted = words
        common = gcd(words.elements, wanted.elements)
        if words.elements > common:
            source = self._convert("actc_narrow", source, words, common)
        if wanted.elements > common:
            narrow = Words(common, words.width)
            source = self._convert("actc_widen", source, narrow, wanted.elements)
        if end != "out":
            self._wires(end, wanted.bits)
        self.body += [
            f"assign {end}_valid = {source}_valid;",
            f"assign {end}_data = {source}_data;",
            f"assign {source}_ready = {end}_ready;",
        ]

    def _queue(self, source: str, words: Words, depth: int) -> str:
        self.library.add("actc_queue")
        name = f"{source}_queue"
        self._wires(name, words.bits)
        block = int(depth > _SHORT)
        parameters = {"WIDTH": words.bits, "DEPTH": depth, "BLOCK": block}
        parameters["LUTRAM"] = self._options.lutram
        pins = clock_pins() | stream_pins("in", source) | stream_pins("out", name)
        self.body += instance("actc_queue", f"{name}_memory", pins, parameters)
        return name

    def _convert(self, module: str, source: str, words: Words, elements: int) -> str:
        """A stream in words of other length."""
        self.library.add(module)
        name = f"{source}_{elements}"
        self._wires(name, elements * words.width)
        count = max(elements, words.elements) // min(elements, words.elements)
        width = min(elements, words.elements) * words.width
        pins = clock_pins() | stream_pins("in", source) | stream_pins("out", name)
        self.body += instance(module, f"{name}_words", pins, {"WIDTH": width, "COUNT": count})
        return name
