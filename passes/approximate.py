"""Choose what stands for each activation: table, piecewise linear, clamp or itself."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc.approx.function import ScalarFunction
from actc.approx.pwl import fit_piecewise_linear
from actc.approx.step_table import fit_step_table
from actc.calibrate.histogram import choose_range
from actc.diagnostics import Diagnostic
from actc.errors import ModelError, UsageError
from actc.ir.context import Context, context_of
from actc.ir.dialect import DOMAIN, add_bodies
from actc.ir.elementwise import is_elementwise
from actc.ir.formats import annotate
from actc.ir.graph import add_constant, constant, is_given, is_op, only_user, replace_node
from actc.ir.sites import Site
from actc.numerics.quantization import QuantizationParameters
from actc.passes.base import Pass
from actc.passes.embed import replace_rows, row_lookup
from actc.passes.input_grids import keeps_grid
from actc.passes.linear import linear_producer
from actc.passes.ranges import clip_tails, is_clamp
from actc.passes.site_choices import FORMS, SiteChoice, choice_of, without_effect
from actc.passes.snapshot import put_piecewise_linear
from actc.passes.widths import choose_width

Array = np.ndarray[Any, Any]


_MAX_ERROR, _MAX_ERROR_INT8 = 2.0**-12, 2.0**-10
"""Default of `max_error`, and what stands for it in int8; of the output's range."""
_REQUANTIZING = ("Conv", "MatMul", "Add", "Mul", "GlobalAveragePool", "AveragePool", "ReduceMean")


_ARITHMETIC = ("Add", "Sub", "Mul", "Sum", "Neg", "Cast", "Identity")


@dataclass(frozen=True, slots=True)
class Approximate(Pass):
    """Rules:

    1. An activation of looked-up rows is applied to the rows ("rows").
    2. clip(x, a, b) behind an operator that saturates anyway is that saturation
       ("clamp"); exact.
    3. int8: a table of the function over the input's codes ("table"), the input range
       cut where the function is flat; with form=pwl the table holds the optimal
       piecewise-linear function. form=exact is a table in int8, since a table is exact
       over all codes. `activations` says how many bits the codes have, and
       `power_of_two` what scales, as in `quantize`.
    4. float32: the optimal piecewise-linear function ("pwl") of `segments` pieces,
       or as many as `max_error` (in units of the output's range) needs; "exact"
       keeps the function, "table" is the table of least error over 256 codes, where
       the function is finite.
    5. Families (one function per channel) are tables in int8, exact in float32.
       What is NaN, infinite or empty on the data keeps its function too; where it is so
       elsewhere in the input range, or its lines overflow float32, that is noted.
    6. float32: elementwise operators that are no part of a site, other than plain
       arithmetic, are noted as left, with the reason.
    7. What the user chose for a single site (`actc.passes.site_choices`) is above the
       options of the pass; where it has no effect, that is said.
    """

    name: ClassVar[str] = "approximate"

    form: str = "auto"
    precision: str = "int8"
    segments: int = 0
    max_error: float = _MAX_ERROR
    method: str = "minmax"
    activations: str = "8"
    power_of_two: bool = False

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Choose a form for every site."""
        if self.form not in FORMS:
            known = ", ".join(FORMS)
            raise UsageError(Diagnostic("ACT0201", f"unknown form '{self.form}'", help=known))
        context = context_of(model)
        if context.sites and not context.ranges:
            message = "pass 'approximate' needs the ranges that pass 'calibrate' finds"
            raise UsageError(Diagnostic("ACT0222", message, help="put calibrate before it"))
        for node in list(model.graph):
            site = context.sites.get(node.metadata_props.get("actc.site", ""))
            if site is not None:
                self._choose_as_asked(model, context, node, site)
        if self.precision == "float32":
            context.left.update(_left(model))
        add_bodies(model)
        return ir.passes.PassResult(model, modified=True)

    def _choose_as_asked(
        self, model: ir.Model, context: Context, node: ir.Node, site: Site
    ) -> None:
        """Rule 7."""
        choice = choice_of(context, site)
        if choice is None:
            self._choose(model, context, node, site)
            return
        if choice.bits is not None and node.inputs[0] is not None:
            widths = context.facts.get("widths") or {}
            context.facts["widths"] = {**widths, str(node.inputs[0].name): choice.bits}
        self._with(choice)._choose(model, context, node, site)
        if choice.form == "pwl" and site.form != "pwl":
            context.sink.add(without_effect(context, site))

    def _with(self, choice: SiteChoice) -> Approximate:
        """This pass with the options of one site."""
        form = choice.form or self.form
        if choice.segments is None and choice.max_error is None:
            return dataclasses.replace(self, form=form)
        return dataclasses.replace(
            self,
            form=form,
            segments=choice.segments or 0,
            max_error=choice.max_error or self.max_error,
        )

    def _choose(self, model: ir.Model, context: Context, node: ir.Node, site: Site) -> None:
        source = node.inputs[0]
        assert source is not None
        gather = row_lookup(source)
        if gather is not None and only_user(source) is node:
            apply_to_rows(model, node, gather, site)
            return
        seen = context.ranges[str(source.name)]
        if not (np.isfinite(seen.low) and np.isfinite(seen.high)):  # of a float network alone
            _keep(site)
            return
        low, high = choose_range(seen, self.method)
        # A function needs no zero in its input range: take only what occurs.
        low, high = max(low, seen.low), min(high, seen.high)
        site.details["input_range"] = [low, high]
        clamp = None if site.function.channels > 1 else is_clamp(site.function, low, high)
        if clamp is not None and (self.precision == "float32" or _saturates(node)):
            site.form = "clamp"
            site.details.update(max_error=0.0, clamp=[_finite(end) for end in clamp])
            return
        if self.precision == "int8":
            self._choose_int8(context, node, site, low, high)
        else:
            self._choose_float(model, node, site, low, high)

    def _choose_int8(
        self, context: Context, node: ir.Node, site: Site, low: float, high: float
    ) -> None:
        site.form, source = "table", node.inputs[0]
        if source is None or is_given(source) or keeps_grid(source):
            pass  # its codes are the model's own, or its data's
        elif only_user(source) is node and not site.affine:
            low, high = _useful_range(site, low, high)
            site.details["input_range"] = [low, high]
            width = choose_width([source], self.activations, context.facts.get("widths"))
            annotate(source, self._exact_ends(low, high, width.bits))
        if self.form == "pwl" and site.function.channels == 1 and not site.affine:
            self._fit(site, low, high)

    def _exact_ends(self, low: float, high: float, bits: int) -> QuantizationParameters:
        """The format of [low, high], its codes limited to that range (which may miss zero)."""
        p = QuantizationParameters.from_range(low, high, bits=bits, power_of_two=self.power_of_two)
        first, last = int(p.quantize(low)), int(p.quantize(high))
        return dataclasses.replace(p, low=first, high=max(first, last))

    def _choose_float(
        self, model: ir.Model, node: ir.Node, site: Site, low: float, high: float
    ) -> None:
        if self.form == "table" and site.function.channels == 1 and not site.affine:
            _put_quantized_table(model, node, site, low, high)
        elif self.form in ("auto", "pwl") and site.function.channels == 1 and not site.affine:
            try:
                self._fit(site, low, high)
            except ModelError as problem:
                _keep(site)
                reason = problem.diagnostics[0].message
                context_of(model).left[str(node.name)] = (node.op_type, reason)
            else:
                put_piecewise_linear(model, node, site)
        else:
            _keep(site)

    def _fit(self, site: Site, low: float, high: float) -> None:
        if high <= low:
            high = low + 1.0
        function = ScalarFunction(site.label, site.function)
        y = site.function(np.linspace(low, high, 1025))
        budget = None if self.segments else self.max_error * max(float(np.ptp(y)), 1e-30)
        if budget is not None and self.precision == "int8" and self.max_error == _MAX_ERROR:
            budget = _MAX_ERROR_INT8 * max(float(np.ptp(y)), 1e-30)
        fit = fit_piecewise_linear(
            function,
            low,
            high,
            segments=self.segments or None,
            max_error=budget,
            # A jump turns rounding noise of float32 into an error of its own size.
            continuous=self.precision == "float32",
        )
        site.form = "pwl"
        site.approximation = fit.form.evaluate
        site.certificate = fit.certificate
        site.details.update(
            segments=len(fit.form.slopes), max_error=fit.max_error, lower_bound=fit.lower_bound
        )
        site.details["pwl"] = fit.form


def _left(model: ir.Model) -> dict[str, tuple[str, str]]:
    """Rule 6: node -> (operator, why it is no site)."""
    found = {}
    for node in model.graph:
        if not is_elementwise(node) or node.op_type in _ARITHMETIC:
            continue
        variable = {v for v in node.inputs if v is not None and constant(v) is None}
        reason = "it takes one tensor, but is no function of one real number per element"
        if len(variable) > 1:
            reason = "it joins tensors of different origin"
        found[str(node.name)] = (node.op_type, reason)
    return found


def _keep(site: Site) -> None:
    site.form = "exact"
    site.details["max_error"] = 0.0


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _saturates(node: ir.Node) -> bool:
    """Whether the operator before an activation requantizes for it alone."""
    source = node.inputs[0]
    assert source is not None
    producer = source.producer()
    own = linear_producer(source) is not None or is_op(producer, *_REQUANTIZING)
    return (own or is_op(producer, "LayerNorm", domain=DOMAIN)) and only_user(source) is node


def _useful_range(site: Site, low: float, high: float) -> tuple[float, float]:
    x = np.linspace(low, high, 1025)
    y = site.function(x)
    if not np.isfinite(y).all():
        return low, high
    return clip_tails(site.function, low, high, float(np.ptp(y)) / 255 / 8)


def apply_to_rows(model: ir.Model, node: ir.Node, gather: ir.Node, site: Site) -> None:
    """Apply an activation behind a lookup to the table's rows, and drop it."""
    rows = gather.inputs[0]
    assert rows is not None
    assert rows.const_value is not None
    array = rows.const_value.numpy().astype(np.float64)
    shape = (len(array),) + (1,) * (site.function.rank - 2) + array.shape[1:]
    result = site.function.evaluate(array.reshape(shape))
    replace_rows(model.graph, gather, np.broadcast_to(result, shape).reshape(array.shape))
    site.form = "rows"
    site.details.update(max_error=0.0, input_range=[float(array.min()), float(array.max())])
    name, output, source = node.outputs[0].name, node.outputs[0], gather.outputs[0]
    ir.convenience.replace_all_uses_with(output, source, replace_graph_outputs=True)
    model.graph.remove(node, safe=True)
    output.name = None
    source.name = name


def _put_quantized_table(
    model: ir.Model, node: ir.Node, site: Site, low: float, high: float
) -> None:
    low, high = _useful_range(site, low, high)
    try:
        table = fit_step_table(
            ScalarFunction(site.label, site.function), low, high if high > low else low + 1.0
        )
    except ModelError:  # infinite or undefined in between: no table of real numbers comes near
        site.form = "exact"
        site.details["max_error"] = 0.0
        return
    parameters = table.input
    name = node.name or site.id
    constants = [
        add_constant(model.graph, f"{name}_{what}", array)
        for what, array in (
            ("scale", np.array(parameters.scale, np.float32)),
            ("zero", np.array(parameters.zero_point, np.uint8)),
            ("values", table.values),
        )
    ]
    new = ir.node("QuantizedTable", [node.inputs[0], *constants], domain=DOMAIN, name=name)
    new.metadata_props["actc.site"] = site.id
    replace_node(node, [new], new.outputs[0])
    site.form = "table"
    site.approximation = table.form.evaluate
    site.certificate = table.certificate
    site.details.update(
        entries=table.form.segments, max_error=table.max_error, lower_bound=table.lower_bound
    )
