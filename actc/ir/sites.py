"""Activation sites: one recognized scalar function at one place of a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.ir.elementwise import evaluate

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class SiteFunction:
    """A scalar function (or one per channel), kept as its own sub-graph.

    Attributes:
        body: the model-local function `actc::Activation` of the site.
        axis: axis of the channels in the tensor; 1 for a single function.
        rank: rank of the tensor.
        channels: number of functions: 1, or one per channel.
    """

    body: ir.Function
    axis: int
    rank: int
    channels: int

    def __call__(self, x: Array) -> Array:
        """Evaluate in float64.

        Args:
            x: [n], the same points for every channel.

        Returns:
            [n] for a single function, [n, channels] for a family.
        """
        points = np.asarray(x, np.float64)
        if self.channels == 1:
            result = self.evaluate(points)
            if result.size == points.size:  # constants may carry axes of size one
                return result.reshape(points.shape)
            return np.broadcast_to(result.reshape(-1), points.shape)
        shape = [1] * self.rank
        shape[0 if self.axis else -1] = len(points)
        result = np.asarray(self.evaluate(points.reshape(shape)), np.float64)
        full = list(shape)
        full[self.axis] = self.channels
        spread = np.broadcast_to(result, full)
        return np.moveaxis(spread, self.axis, -1).reshape(len(points), self.channels)

    def evaluate(self, x: Array) -> Array:
        """Evaluate in float64 on a tensor that broadcasts with the channel constants."""
        result = evaluate(self.body, {self.body.inputs[0]: x}, self.body.outputs[0])
        return np.asarray(result, np.float64)

    def channel(self, index: int) -> Callable[[Array], Array]:
        """The function of one channel as a callable on [n]."""
        if self.channels == 1:
            return self.__call__
        return lambda x: self(x)[:, index]


@dataclass(slots=True)
class Site:
    """What is known of one activation site; later passes fill it in.

    Attributes:
        id: stable identifier within the model ("a1", "a2", ...).
        label: name of the function, from the catalogue ("custom" when unknown).
        nodes: names of the nodes that formed it in the model.
        input: name of the value it reads.
        output: name of the value it gives.
        function: the model's own function.
        affine: a scale and bias, not an activation; not reported as one.
        form: chosen form: "table", "pwl", "exact", "clamp", "rows" (applied to the
            rows of an embedding at compile time).
        approximation: what replaces the function, [n] -> [n] or [n, channels].
        details: further JSON-ready facts (segments, max_error, ...).
        certificate: JSON-ready certificate of the fit, if there is one.
        curves: (x, function, what replaced it), float64 [n] each, for the report; one
            entry per channel shown.
    """

    id: str
    label: str
    nodes: tuple[str, ...]
    input: str
    output: str
    function: SiteFunction
    affine: bool = False
    form: str = ""
    approximation: Callable[[Array], Array] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    certificate: Any = None
    curves: list[tuple[Array, Array, Array]] = field(default_factory=list)

    @property
    def effective(self) -> Callable[[Array], Array]:
        """The approximation if there is one, else the function."""
        return self.approximation or self.function
