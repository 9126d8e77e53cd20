"""The base class of actc's passes."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import onnx_ir as ir


class Pass(ir.passes.InPlacePass):
    """An in-place pass: a frozen dataclass whose options are its fields.

    Class attributes:
        name: its spelling in --passes.
        preserves: "function" when the model computes the same afterwards (the
            pipeline then checks it on data), "" when the pass may change values.
    """

    name: ClassVar[str]
    preserves: ClassVar[str] = ""

    __slots__ = ()

    @abstractmethod
    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Transform `model` in place."""
