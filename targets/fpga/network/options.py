"""Choices in unrolling a network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from actc.targets.fpga.adders import AdderOptions
from actc.targets.fpga.functions.options import FunctionOptions

End = Literal["outputs", "scores"]


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """How a network is unrolled; every choice computes the same integers.

    Attributes:
        end: what the hardware gives. "outputs": integers from which the host computes
            golden's outputs: of a softmax the numerators, which the host divides by their
            sum. "scores": the same, but a softmax is left to the host altogether.
        limit: estimated bits of adders above which a network is refused before any work.
        adders: how sums of products are built.
        functions: how functions of one wire are built.
    """

    end: End = "outputs"
    limit: int = 400_000
    adders: AdderOptions = field(default_factory=AdderOptions)
    functions: FunctionOptions = field(default_factory=FunctionOptions)
