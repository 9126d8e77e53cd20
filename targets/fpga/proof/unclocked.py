"""A pipeline without its registers: what its outputs are as functions of the inputs alone.

Where nothing feeds back and all paths to a net have the same number of registers, the net is,
that many clocks later, a function of the inputs of one clock. To that function registers are
wires (retiming keeps it: Leiserson and Saxe, Algorithmica 6, 1991).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from actc.targets.fpga.proof.circuit import (
    ALWAYS,
    FLIP_FLOP,
    Bit,
    Circuit,
    Gate,
    NotSeparate,
    cone,
    depths,
)

_WIRES = ("$_BUF_", FLIP_FLOP)
_FUNCTIONS: dict[str, Callable[..., int]] = {
    "$_NOT_": lambda ones, a: ones ^ a,
    "$_AND_": lambda ones, a, b: a & b,
    "$_NAND_": lambda ones, a, b: ones ^ (a & b),
    "$_OR_": lambda ones, a, b: a | b,
    "$_NOR_": lambda ones, a, b: ones ^ (a | b),
    "$_XOR_": lambda ones, a, b: a ^ b,
    "$_XNOR_": lambda ones, a, b: ones ^ a ^ b,
    "$_ANDNOT_": lambda ones, a, b: a & (ones ^ b),
    "$_ORNOT_": lambda ones, a, b: a | (ones ^ b),
    "$_MUX_": lambda ones, a, b, s: (a & (ones ^ s)) | (b & s),
}


class Unclocked:
    """The function of a circuit.

    Args:
        circuit: of one clock.

    Attributes:
        inputs: port -> bits.
        ports: outputs.
        latency: port and place of an output bit -> clocks that it comes behind the inputs;
            ALWAYS for constants.
        gates: logic, each behind those that it reads.

    Raises:
        NotSeparate: it has feedback, a wire without a driver, or paths to one net with
            registers of different number.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.inputs, self._outputs = circuit.inputs, circuit.outputs
        self.ports = tuple(circuit.outputs)
        start = [bit for bits in circuit.inputs.values() for bit in bits]
        ends = [bit for bits in circuit.outputs.values() for bit in bits]
        gates = cone(circuit, ends, start)
        _check_forward(gates, start, ends)
        times = depths(gates, start)
        self.latency = {
            (port, place): times[bit] if isinstance(bit, int) else ALWAYS
            for port, bits in circuit.outputs.items()
            for place, bit in enumerate(bits)
        }
        self._sources = _sources(gates)
        self.gates: Sequence[Gate] = [gate for gate in gates if gate.type not in _WIRES]

    def _source(self, bit: Bit) -> Bit:
        return self._sources.get(bit, bit)

    def reads(self, gate: Gate) -> list[Bit]:
        """What drives the inputs of a gate: inputs of the circuit, gates or constants."""
        return [self._source(bit) for bit in gate.inputs]

    def output(self, port: str) -> list[Bit]:
        """The same for the bits of an output."""
        return [self._source(bit) for bit in self._outputs[port]]

    @property
    def defined(self) -> bool:
        """Whether no bit of it is "x"."""
        read = [self.reads(gate) for gate in self.gates]
        return not any("x" in bits for bits in (*read, *map(self.output, self.ports)))

    def evaluate(self, inputs: Mapping[str, Sequence[int]], samples: int) -> dict[str, list[int]]:
        """Outputs of many samples at once, with 0 for "x".

        Args:
            inputs: port -> for each of its bits, an integer whose bit n is that of sample n.

        Returns:
            The same for the outputs.
        """
        ones = (1 << samples) - 1
        values: dict[Bit, int] = {"0": 0, "x": 0, "1": ones}
        for port, bits in self.inputs.items():
            values.update(zip(bits, inputs[port], strict=True))
        for gate in self.gates:
            read = [values[bit] for bit in self.reads(gate)]
            values[gate.output] = _FUNCTIONS[gate.type](ones, *read)
        return {port: [values[bit] for bit in self.output(port)] for port in self.ports}


def _check_forward(gates: Sequence[Gate], start: Iterable[Bit], ends: Iterable[Bit]) -> None:
    """Refuse a gate that depends on itself, and nets that nothing drives."""
    seen = {*start, "0", "1", "x"}
    for gate in gates:
        if not seen.issuperset(gate.inputs):
            raise NotSeparate("there is feedback in it, or a wire without a driver")
        seen.add(gate.output)
    if not seen.issuperset(ends):
        raise NotSeparate("an output of it has no driver")


def _sources(gates: Sequence[Gate]) -> dict[Bit, Bit]:
    """Output of a register or a buffer -> where its value comes from."""
    found: dict[Bit, Bit] = {}
    for gate in gates:
        if gate.type in _WIRES:
            (source,) = gate.inputs
            found[gate.output] = found.get(source, source)
    return found
