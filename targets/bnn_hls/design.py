"""A network that is folded: what its C++ is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from actc.targets.bnn_hls.choice import Choice
from actc.targets.bnn_hls.functions import Function
from actc.targets.bnn_hls.layers import Network
from actc.targets.fpga.hdl.names import identifier

Flow: TypeAlias = Literal["vitis", "vivado"]


@dataclass(frozen=True, eq=False)
class Design:
    """A network that is folded, with all that its C++ is written from.

    Attributes:
        network: its layers.
        functions: of each layer.
        choice: the foldings.
        flow: whose pragmas are written.
    """

    network: Network
    functions: tuple[Function, ...]
    choice: Choice
    flow: Flow = "vitis"

    @property
    def words(self) -> tuple[int, int]:
        """Words of 64 bits of a sample, that come and that go."""
        ports = self.network.entry, self.network.output
        in_words, out_words = (-(-p.size // slots_of(p.code.bits)) for p in ports)
        return in_words, out_words


def slots_of(bits: int) -> int:
    """Elements of a word of 64 bits."""
    return int(64 >> (bits - 1).bit_length())


def layer_name(design: Design, number: int) -> str:
    """An identifier of a layer."""
    return f"layer_{number}_{identifier(design.network.layers[number].name)}"
