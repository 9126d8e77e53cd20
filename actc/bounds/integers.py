"""The integer network beside the float one.

Of each integer tensor of golden two affine forms are kept, in units of its own integers:
what golden holds, and what it would hold were it the float tensor that it stands for.
Their difference is what counts; linear operators carry both along exactly, functions go
through :mod:`actc.bounds.transfer`. Which float tensor stands behind which integers comes
from formats.json and decides only how narrow the bound is: each form of golden encloses
golden, and each form of the float network the float network, whatever they are paired with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.bounds import affine
from actc.bounds.affine import SLACK, Form, Space
from actc.bounds.curve import IDENTITY, Function, site_function
from actc.bounds.floating import FloatNetwork, Tensor, channels
from actc.bounds.operators import NotEnclosed
from actc.bounds.transfer import Codes, Difference, difference
from actc.ir.execute import ExecutionError
from actc.ir.graph import constant, is_op

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
Label = tuple[str, str]
Shares = dict[Label, Array]

WEIGHTS, ROUNDING, SATURATION = "weights", "rounding", "saturation"


@dataclass(frozen=True, slots=True)
class Mate:
    """The float value that integers stand for: real = scale * (code - zero)."""

    name: str
    scale: float
    zero: float


@dataclass(frozen=True, eq=False, slots=True)
class Integers:
    """An integer tensor of golden, or a real one between its integers.

    Attributes:
        golden: what golden holds; before saturation when `ends` are given.
        ideal: the float tensor in the same units.
        shares: (layer, kind) -> [n], what roundings so far may make golden differ by,
            by interval arithmetic.
        shape: of one sample.
        ends: where the integers saturate.
        mates: float values that they stand for; the first is that before the ends.
        kind: what an `ideal` that is off its mate is due to.
    """

    golden: Form
    ideal: Form
    shares: Shares
    shape: Shape
    ends: tuple[int, int] | None = None
    mates: tuple[Mate, ...] = ()
    kind: str = ROUNDING


@dataclass(slots=True)
class Golden:
    """The forms of golden.

    Attributes:
        model: golden.
        floats: the float network, analysed.
        mates: golden value name -> what it stands for, in order.
        values: what is known so far.
        layer: the last layer with weights.
        left: nodes that are not covered, with the reason.
    """

    model: ir.Model
    floats: FloatNetwork
    mates: dict[str, tuple[Mate, ...]]
    values: dict[ir.Value, Integers] = field(default_factory=dict)
    layer: str = ""
    left: list[tuple[ir.Node, str]] = field(default_factory=list)
    _saturated: dict[ir.Value, Integers] = field(default_factory=dict)
    _names: dict[str, ir.Value] = field(default_factory=dict)
    _users: dict[ir.Value, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.floats.model.graph
        made = [value for node in graph for value in node.outputs]
        self._names = {str(value.name): value for value in [*graph.inputs, *made]}

    @property
    def space(self) -> Space:
        """The noise symbols."""
        return self.floats.space

    def run(self, rules: dict[tuple[str, str], Any]) -> None:
        """Go through the graph; what is not covered goes to `left`.

        Raises:
            TooLarge: too many numbers and symbols.
        """
        unknown: set[ir.Value] = set()
        for node in self.model.graph:
            if any(value in unknown for value in node.inputs):
                unknown.update(node.outputs)
                continue
            try:
                rule = rules.get((node.domain, node.op_type))
                if rule is None:
                    raise NotEnclosed("")
                rule(self, node)
            except (NotEnclosed, ExecutionError) as problem:
                self.left.append((node, str(problem)))
                unknown.update(node.outputs)
            self._forget(node)

    def _forget(self, node: ir.Node) -> None:
        """Drop what no later node reads."""
        for value in {v for v in node.inputs if v is not None}:
            self._users[value] = self._users.get(value, 0) + 1
            readers = {use.node for use in value.uses()}
            if self._users[value] == len(readers) and not value.is_graph_output():
                self.values.pop(value, None)
                self._saturated.pop(value, None)

    def float_value(self, name: str) -> ir.Value | None:
        """The float graph's value of that name."""
        return self._names.get(name)

    def float_tensor(self, name: str) -> Tensor | None:
        """What is known of a float value."""
        value = self._names.get(name)
        return None if value is None else self.floats.tensors.get(value)

    def known_mates(self, value: ir.Value) -> tuple[Mate, ...]:
        """The mates of a golden value whose float tensors are known."""
        found = self.mates.get(str(value.name), ())
        return tuple(mate for mate in found if self.float_tensor(mate.name) is not None)

    def before(self, value: ir.Value | None) -> Integers:
        """Integers before saturation.

        Raises:
            NotEnclosed: nothing is known of them.
        """
        if value is None:
            raise NotEnclosed("a required input is absent")
        if value in self.values:
            return self.values[value]
        array = constant(value)
        if array is None:
            raise NotEnclosed(f"nothing is known of its input {value.name}")
        form = affine.exact(array)
        return Integers(form, form, {}, array.shape, mates=self.known_mates(value))

    def after(self, value: ir.Value | None) -> Integers:
        """Integers as golden holds them.

        Raises:
            NotEnclosed: nothing is known of them.
        """
        if value is not None and value in self._saturated:
            return self._saturated[value]
        found = self.saturate(self.before(value))
        if value is not None:
            self._saturated[value] = found
        return found

    def saturate(self, x: Integers) -> Integers:
        """Integers after saturation, and after a clamp of the float network that it stands for."""
        if x.ends is None:
            return x
        unit = Mate("", 1.0, 0.0)
        first, last = (x.mates[0], x.mates[-1]) if x.mates else (unit, unit)
        function, channel = self._between(first, last, x.shape)
        before = self.float_tensor(first.name)
        source = before.form if before is not None else x.ideal
        codes = Codes(x.golden, first.scale, first.zero, *x.ends)
        table = np.broadcast_to(codes.values(), (function.channels, len(codes.values())))
        target = self.float_tensor(last.name) if function is not IDENTITY else before
        ideal = target.form if target is not None else x.ideal
        found = difference(source, ideal, codes, function, channel, table)
        return self.replaced(x, first, ideal, found, first, keep=x.mates)

    def _between(self, first: Mate, last: Mate, shape: Shape) -> tuple[Function, Array]:
        """The function of the float network between two mates of one integer tensor."""
        zero = np.zeros(int(np.prod(shape)), int)
        value = self.float_value(last.name) if last != first else None
        node = None if value is None else value.producer()
        if node is None or not is_op(node, "Activation", domain="actc"):
            return IDENTITY, zero
        site = self.floats.sites[node.metadata_props["actc.site"]]
        if site.form != "clamp" or node.inputs[0] is None or node.inputs[0].name != first.name:
            return IDENTITY, zero
        function = site_function(site.function)
        return function, channels(shape, site.function.axis, site.function.channels)

    def replaced(
        self,
        x: Integers,
        source: Mate,
        ideal: Form,
        found: Difference,
        target: Mate,
        keep: tuple[Mate, ...],
    ) -> Integers:
        """What integers become that go through a function.

        Args:
            source: format of the integers before.
            ideal: the float result, in real numbers.
            found: how far golden is from it.
            target: format of the integers behind.
        """
        factor, step = source.scale / target.scale, 1 / target.scale
        shares = {label: found.rate * factor * share for label, share in x.shares.items()}
        self.charge(shares, ROUNDING, found.rounding * step)
        self.charge(shares, SATURATION, found.saturation * step)
        there = affine.scaled(ideal, step, target.zero)
        golden = affine.total(there, affine.scaled(found.form, step))
        golden = affine.promoted(self.space, golden)
        ends = [affine.scaled(affine.exact(end), step, target.zero).range() for end in found.values]
        golden = affine.limited(golden, ends[0][0], ends[1][1])
        return Integers(golden, there, shares, x.shape, mates=keep)

    def charge(self, shares: Shares, kind: str, amount: Array) -> None:
        """Add an error of the layer at hand."""
        label = (self.layer, kind)
        shares[label] = shares.get(label, np.zeros(len(amount))) + amount

    def put(self, value: ir.Value, found: Integers, *, real: bool = False) -> None:
        """Say what a node gives; its ideal becomes that of the float value behind it.

        Args:
            real: it is a real tensor, which bears the float value's own name.
        """
        mates = self._named(value) if real else self.known_mates(value)
        if mates and not found.mates:
            self._enter_layer(mates[0].name)
            found = self._paired(found, mates)
        self.values[value] = found

    def _paired(self, found: Integers, mates: tuple[Mate, ...]) -> Integers:
        mate, tensor = mates[0], self.float_tensor(mates[0].name)
        assert tensor is not None
        if tensor.form.size != found.golden.size:
            return found
        ideal = affine.scaled(tensor.form, 1 / mate.scale, mate.zero)
        apart = affine.total(found.ideal, ideal, -1.0)
        shares = dict(found.shares)
        self.charge(shares, found.kind, np.abs(apart.center) + apart.radius())
        return replace(found, ideal=ideal, shares=shares, mates=mates)

    def _enter_layer(self, name: str) -> None:
        """Remember the layer with weights that a float value comes from."""
        value = self.float_value(name)
        node = None if value is None else value.producer()
        if node is not None and node.op_type == "Add" and node.domain == "":
            products = [v.producer() for v in node.inputs if v is not None]
            node = next((p for p in products if is_op(p, "MatMul")), node)
        if node is not None and is_op(node, "Conv", "MatMul"):
            self.layer = str(node.name)

    def behind(self, value: ir.Value) -> tuple[Mate, ...]:
        """The mates of the codes that an accumulator or a real tensor becomes."""
        for use in value.uses():
            output = use.node.outputs[0]
            if use.node.op_type in ("Requantize", "QuantizeLinear"):
                found = self.known_mates(output) or self.behind(output)
            elif use.node.op_type == "DequantizeLinear":
                found = self._named(output)
            else:
                continue
            if found:
                return found
        return self._named(value) if value.is_graph_output() else ()

    def _named(self, value: ir.Value) -> tuple[Mate, ...]:
        """The float value of the same name."""
        name = str(value.name)
        return (Mate(name, 1.0, 0.0),) if self.float_tensor(name) is not None else ()


def scaled(x: Integers, factor: Array | float, offset: Array | float = 0.0) -> Integers:
    """factor * x + offset, of both forms."""
    size = np.broadcast_to(np.abs(np.asarray(factor)), x.golden.center.shape) * (1 + SLACK)
    return Integers(
        affine.scaled(x.golden, factor, offset),
        affine.scaled(x.ideal, factor, offset),
        {label: size * share for label, share in x.shares.items()},
        x.shape,
    )
