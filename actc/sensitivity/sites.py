"""The sites of a simulation: what is ranked, overridden and given bits as one."""

from __future__ import annotations

from dataclasses import dataclass

from actc.sensitivity.gates import Gate
from actc.sensitivity.setting import Setting
from actc.sensitivity.simulate import Simulation

_KINDS = {"weights": "weights", "constant": "constant", "activation": "activation"}
RECURRENT_BITS = "8"


@dataclass(frozen=True, slots=True)
class ErrorSite:
    """Roundings that belong together.

    Attributes:
        kind: "tensor" (values that share a format), "narrow" (the same values in the
            second format, which linear operators take), "weights" (of a layer),
            "constant" (an operand), "activation" (what replaces a function).
        name: of the first of the values, of the node, or of the activation site.
        gates: the switches of the simulation.
    """

    kind: str
    name: str
    gates: tuple[Gate, ...]

    @property
    def id(self) -> str:
        """Unique and stable: kind and name."""
        return f"{self.kind}:{self.name}"

    @property
    def values(self) -> tuple[str, ...]:
        """Names of the values that it rounds."""
        return tuple(dict.fromkeys(gate.name for gate in self.gates))

    def bits(self, setting: Setting) -> str:
        """Bits in a setting, as the user writes them; "" for an activation's replacement."""
        if self.kind == "weights":
            chosen = setting.weights.get(self.name)
            return RECURRENT_BITS if chosen is None else str(chosen.form)
        if self.kind == "constant":
            return RECURRENT_BITS
        if self.kind == "activation":
            return ""
        formats = setting.formats[self.gates[0].name]
        narrow = self.kind == "narrow"
        return str(formats.linear.bits if narrow else formats.wide.bits)


def error_sites(
    simulation: Simulation, setting: Setting, *, joined: bool = False
) -> list[ErrorSite]:
    """The sites of a simulation, in the order of the graph.

    Args:
        joined: count the narrow format of values to the same site as their own: what
            one choice of bits decides.
    """
    of_value: dict[str, list[Gate]] = {}
    single = []
    for gate in simulation.gates:
        if gate.kind in _KINDS:
            single.append(ErrorSite(_KINDS[gate.kind], gate.name, (gate,)))
        else:
            of_value.setdefault(gate.name, []).append(gate)
    found = []
    for group in simulation.groups:
        gates = [gate for name in group for gate in of_value.get(name, ())]
        narrow = [] if joined else [gate for gate in gates if _is_narrow(gate, setting)]
        rest = [gate for gate in gates if gate not in narrow]
        for kind, members in (("tensor", rest), ("narrow", narrow)):
            if members:
                found.append(ErrorSite(kind, members[0].name, tuple(members)))
    return sorted(found + single, key=lambda site: site.gates[0].position)


def _is_narrow(gate: Gate, setting: Setting) -> bool:
    return gate.kind == "linear" and setting.formats[gate.name].narrow is not None
