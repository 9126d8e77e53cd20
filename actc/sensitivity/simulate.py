"""The quantized network in float32, with a switch at every place where it rounds.

All switches are inputs of one onnxruntime session, and so are the formats and the
weights: one run per place gives the error that this place alone causes, at any width,
without building anything again. With all switches on the simulation rounds where golden
does; what it leaves out are the fixed-point factors of sums and norms and the inner
states of recurrent layers, whose errors are far below a step of 8 bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.checks.stages import run_over
from actc.data import Dataset
from actc.ir.context import Context
from actc.ir.dialect import add_bodies
from actc.ir.execute import Session
from actc.ir.formats import parameters_of
from actc.ir.graph import add_constant, is_op, remove_dead
from actc.ir.sites import Site
from actc.numerics.compare import Outputs
from actc.numerics.weights import QuantizedWeights
from actc.passes.integer.islands import keep_nodes, kept_nodes, knows_kept_nodes
from actc.passes.integerize import without_form
from actc.passes.quantize import shared_formats
from actc.sensitivity.gates import Gate, add_gate_body, gate_feeds, graph_input, insert_gate
from actc.sensitivity.layers import Constants, add_constants, take_output
from actc.sensitivity.rounding import Rounding, Use, roundings
from actc.sensitivity.setting import Setting

Array = np.ndarray[Any, Any]
Choice = Mapping[Gate, Setting]


class Simulation:
    """One session that computes the network with any of its roundings.

    Attributes:
        gates: every switch, in the order of the graph.
        groups: names of the values that share a format.

    Args:
        model: the float graph with formats on its values (behind pass `quantize`); not
            changed.
        context: its context.
        settings: the choices that will be simulated; they say which values have a
            narrow format and which layers a corrected bias.
        threads: of onnxruntime; 0 takes all cores.
    """

    def __init__(
        self, model: ir.Model, context: Context, settings: Sequence[Setting], threads: int = 0
    ) -> None:
        copy = ir.from_proto(ir.to_proto(model))
        if not knows_kept_nodes(context):  # formats are still being chosen
            keep_nodes(context, without_form(copy.graph))
        self.groups = [[str(v.name) for v in group] for group in shared_formats(copy, context)]
        graph = _Graph(copy, context, settings)
        graph.build()
        self.gates: tuple[Gate, ...] = tuple(sorted(graph.gates, key=lambda gate: gate.position))
        self._constants = {constants.gate: constants for constants in graph.constants}
        self._last: dict[Gate, tuple[bool, QuantizedWeights | None, Mapping[str, Array]]] = {}
        self._session = Session(graph.proto(), threads=threads)

    def outputs(self, dataset: Dataset, choice: Choice, batch: int = 16) -> Outputs:
        """Outputs of the network over all samples.

        Args:
            dataset: samples.
            choice: the switches that are on, each with the setting that it takes its
                format from; the others are off.
            batch: samples per run.

        Returns:
            output name -> array [samples, ...], see `actc.checks.stages.run_over`.
        """
        settings: dict[str, Array] = {}
        for gate in self.gates:
            settings.update(self._feeds(gate, choice.get(gate)))

        def run(feeds: Mapping[str, Array]) -> dict[str, Array]:
            return self._session.run({**feeds, **settings})

        return run_over(run, dataset, batch)

    def _feeds(self, gate: Gate, setting: Setting | None) -> Mapping[str, Array]:
        constants: Constants | None = self._constants.get(gate)
        if constants is not None:
            chosen = None if setting is None else setting.weights.get(gate.name)
            return self._constant_feeds(constants, setting is not None, chosen)
        if gate.kind == "activation":
            return {f"{gate.key}.on": np.array(setting is not None)}
        formats = None if setting is None else setting.formats[gate.name]
        if formats is None:
            return gate_feeds(gate.key, None)
        return gate_feeds(gate.key, formats.linear if gate.kind == "linear" else formats.wide)

    def _constant_feeds(
        self, constants: Constants, on: bool, chosen: QuantizedWeights | None
    ) -> Mapping[str, Array]:
        """What it is given, kept until it is given something else."""
        found = self._last.get(constants.gate)
        if found is None or found[0] is not on or found[1] is not chosen:
            found = self._last[constants.gate] = on, chosen, constants.feeds(on, chosen)
        return found[2]


class _Graph:
    """The float graph under reconstruction."""

    def __init__(self, model: ir.Model, context: Context, settings: Sequence[Setting]) -> None:
        self._model, self._context, self._settings = model, context, settings
        self._position = {node: number for number, node in enumerate(model.graph)}
        self._narrow = {
            name
            for setting in settings
            for name, formats in setting.formats.items()
            if formats.narrow is not None
        }
        self._corrected = {
            name
            for setting in settings
            for name, weights in setting.weights.items()
            if weights.correction.any()
        }
        self.gates: list[Gate] = []
        self.constants: list[Constants] = []

    def build(self) -> None:
        """Put in all switches."""
        add_gate_body(self._model)
        kept = kept_nodes(self._context)
        lowered = {n: p for n, p in self._position.items() if n.name not in kept}
        activations = [n for n in lowered if is_op(n, "Activation", domain="actc")]
        for rounding in roundings(self._model, self._context):
            self._round(rounding)
        for node in activations:
            site = self._context.sites[node.metadata_props["actc.site"]]
            self._replaceable(node, site)
            self._saturate(node, site)
        self.constants = add_constants(self._model, lowered, self._corrected)
        self.gates += [constants.gate for constants in self.constants]

    def proto(self) -> Any:
        """The model for the session."""
        remove_dead(self._model.graph)
        add_bodies(self._model)
        return ir.to_proto(self._model)

    def _gate(self, kind: str, name: str, node: ir.Node | None) -> Gate:
        position = 0 if node is None else 2 * self._position[node] + 2
        gate = Gate(kind, name, f"actc.gate{len(self.gates)}", position)
        self.gates.append(gate)
        return gate

    def _round(self, rounding: Rounding) -> None:
        value, rounded = rounding.value, rounding.value
        name, node = str(value.name), value.producer()
        shown = value.is_graph_output() and not rounding.exact
        if not rounding.moved and (rounding.wide or shown or not rounding.exact):
            rounded = insert_gate(self._model, value, self._gate("wide", name, node).key)
            _redirect(rounding.wide, rounded)
            if not rounding.exact:
                _redirect(rounding.linear, rounded)
            if shown:
                take_output(self._model, value, rounded)
        if rounding.linear and (rounding.exact or name in self._narrow):
            source = value if rounding.exact else rounded
            key = self._gate("linear", name, node).key
            _redirect(rounding.linear, insert_gate(self._model, source, key))

    def _replaceable(self, node: ir.Node, site: Site) -> None:
        """A switch between a function and its piecewise-linear form."""
        form = site.details.get("pwl")
        if site.approximation is None or form is None:
            return
        gate, graph = self._gate("activation", site.id, node), self._model.graph
        # onnxruntime cannot sum over the no breakpoints of a single piece: it is given twice.
        breakpoints = form.breakpoints if len(form.breakpoints) else np.zeros(1)
        pieces = len(breakpoints) + 1
        arrays = (breakpoints, np.resize(form.slopes, pieces), np.resize(form.intercepts, pieces))
        constants = [add_constant(graph, f"{gate.key}.c", a.astype(np.float32)) for a in arrays]
        output = node.outputs[0]
        users = [(use.node, use.idx) for use in output.uses()]
        lines = ir.node(
            "PiecewiseLinear", [node.inputs[0], *constants], domain="actc", name=f"{gate.key}/Pwl"
        )
        on = graph_input(self._model, f"{gate.key}.on", ir.DataType.BOOL, [])
        chosen = ir.node("Where", [on, lines.outputs[0], output], name=f"{gate.key}/Where")
        graph.insert_after(node, [lines, chosen])
        _redirect(users, chosen.outputs[0])

    def _saturate(self, node: ir.Node, site: Site) -> None:
        """Where a function is infinite at a code, let it saturate, as golden's table does."""
        source, output, graph = node.inputs[0], node.outputs[0], self._model.graph
        assert source is not None
        formats = [setting.formats.get(site.input) for setting in self._settings]
        codes = [found.wide.values() for found in formats if found is not None]
        ends = parameters_of(output)
        if ends is None or all(np.isfinite(site.function(x)).all() for x in codes):
            return
        first, last = (ends.scale * (code - ends.zero_point) for code in (ends.low, ends.high))
        name = f"actc.saturated.{site.id}"
        low, high = (add_constant(graph, name, np.array(x, np.float32)) for x in (first, last))
        users = [(use.node, use.idx) for use in output.uses()]
        infinite = ir.node("IsInf", [output], name=f"{name}/IsInf")
        clipped = ir.node("Clip", [output, low, high], name=f"{name}/Clip")
        bounded = [infinite.outputs[0], clipped.outputs[0], output]
        finite = ir.node("Where", bounded, name=f"{name}/Where")
        undefined = ir.node("IsNaN", [finite.outputs[0]], name=f"{name}/IsNaN")
        defined = [undefined.outputs[0], low, finite.outputs[0]]
        result = ir.node("Where", defined, name=f"{name}/Defined")
        graph.insert_after(node, [infinite, clipped, finite, undefined, result])
        _redirect(users, result.outputs[0])


def _redirect(uses: list[Use], value: ir.Value) -> None:
    for node, index in uses:
        node.replace_input_with(index, value)
