"""The golden graph under construction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir

from actc.diagnostics import Diagnostic, Place
from actc.errors import ModelError
from actc.ir.context import Context
from actc.ir.dialect import DOMAIN
from actc.ir.formats import annotate, narrow_parameters_of, parameters_of
from actc.numerics.quantization import QuantizationParameters
from actc.numerics.requantize import choose_multiplier
from actc.passes.integer.hints import KEEPS_FLOAT, hint
from actc.passes.shapes import shape_arithmetic

Array = np.ndarray[Any, Any]

MULTIPLIER_BITS = 24


@dataclass(frozen=True, slots=True)
class Codes:
    """An integer tensor of the golden graph that stands for a float one.

    Attributes:
        value: the tensor, uint8 or (formats of more than 8 bits) uint16.
        parameters: its format.
    """

    value: ir.Value
    parameters: QuantizationParameters

    @property
    def wide(self) -> bool:
        """Whether the codes have more than 8 bits."""
        return self.parameters.bits > 8


@dataclass(frozen=True, slots=True)
class Accumulator:
    """An int32 or int64 tensor: real = scale * integer.

    Attributes:
        value: the tensor.
        scale: float64, a number, one per channel along `axis`, or broadcast-ready.
        axis: axis of the channels.
        bound: largest magnitude it can take.
        residual: float64 per channel, the part of a given bias that is no whole number
            of `scale`: real = scale * integer + residual. Below scale / 2; only
            quantizers that are exact take it in. None: nothing.
    """

    value: ir.Value
    scale: Array
    axis: int
    bound: int
    residual: Array | None = None


class NoIntegerForm(Exception):
    """An operator, as it stands, has no integer form; the text says why and what helps."""

    def __init__(self, reason: str, help_text: str = "") -> None:
        super().__init__(reason)
        self.help = help_text


class MissingInput(NoIntegerForm):
    """Nothing in the golden graph stands for an input.

    Attributes:
        value: that input.
    """

    def __init__(self, value: ir.Value, reason: str) -> None:
        super().__init__(f"its input '{value.name}' {reason}")
        self.value = value


class Builder:
    """Collects nodes and constants, and remembers what stands for each float value."""

    def __init__(self, model: ir.Model, context: Context, *, power_of_two: bool = False) -> None:
        self.power_of_two = power_of_two
        self.model = model
        self.context = context
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []
        self._codes: dict[ir.Value, Codes] = {}
        self._narrow: dict[ir.Value, Codes] = {}
        self._accumulators: dict[ir.Value, Accumulator] = {}
        self._plain: dict[ir.Value, ir.Value] = {}
        self._names: dict[str, int] = {}
        self._refused: set[ir.Value] = set()
        self.on_shapes = frozenset(shape_arithmetic(model.graph))

    def fresh(self, name: str) -> str:
        """A name not given before."""
        count = self._names.get(name, 0) + 1
        unique = name if count == 1 else f"{name}_{count}"
        while unique in self._names:
            count += 1
            unique = f"{name}_{count}"
        self._names[name] = count
        self._names.setdefault(unique, 1)
        return unique

    def constant(self, name: str, array: Array) -> ir.Value:
        """An initializer of the golden graph."""
        unique = self.fresh(name)
        value = ir.Value(
            name=unique,
            shape=ir.Shape(array.shape),
            type=ir.TensorType(ir.DataType.from_numpy(array.dtype)),
            const_value=ir.tensor(array, name=unique),
        )
        self.initializers.append(value)
        return value

    def emit(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        like: ir.Value,
        dtype: ir.DataType,
        *,
        name: str,
        attributes: dict[str, Any] | None = None,
        domain: str = DOMAIN,
        shape: ir.Shape | None = None,
    ) -> ir.Value:
        """Append a node; its output has the shape of `like` unless `shape` is given."""
        node = ir.node(op, inputs, attributes or {}, domain=domain, name=self.fresh(f"{name}/{op}"))
        output = node.outputs[0]
        output.name = self.fresh(f"{name}.{_SUFFIX.get(dtype, 'v')}")
        output.type = ir.TensorType(dtype)
        output.shape = shape if shape is not None else like.shape
        self.nodes.append(node)
        return output

    def set_codes(self, value: ir.Value, codes: Codes) -> None:
        """Say that `codes` stand for the float `value`."""
        annotate(codes.value, codes.parameters)
        self._codes[value] = codes
        self.context.facts.setdefault("golden", {})[str(value.name)] = (
            str(codes.value.name),
            codes.parameters,
        )

    def set_accumulator(self, value: ir.Value, accumulator: Accumulator) -> None:
        """Say that `accumulator` stands for the float `value`; requantized on demand."""
        bits = 51 if accumulator.value.dtype == ir.DataType.INT64 else 31
        if accumulator.bound >= 2**bits:
            raise NoIntegerForm(
                f"its sums do not fit {bits + 1} bits",
                "the layer is too wide or its bias too large",
            )
        self._accumulators[value] = accumulator

    def accumulator(self, value: ir.Value) -> Accumulator | None:
        """The accumulator that stands for `value`, if there is one."""
        return self._accumulators.get(value)

    def set_plain(self, value: ir.Value, golden: ir.Value) -> None:
        """Map a value that is not quantized (an integer input, a float result)."""
        self._plain[value] = golden

    def plain(self, value: ir.Value) -> ir.Value | None:
        """The golden value of an unquantized one."""
        return self._plain.get(value)

    def has_codes(self, value: ir.Value) -> bool:
        """Whether codes stand for `value` already."""
        return value in self._codes

    def codes(self, value: ir.Value | None) -> Codes:
        """The integer tensor for a float value, requantizing or quantizing when needed.

        Raises:
            NoIntegerForm: nothing stands for the value.
        """
        if value is None:
            raise NoIntegerForm("a required input is absent")
        if value not in self._codes:
            if value.const_value is not None and parameters_of(value) is not None:
                self._quantize_constant(value, 8)
            else:
                parameters = self._require_format(value)
                self.set_codes(value, Codes(self._integers(value, parameters), parameters))
        return self._codes[value]

    def narrow_codes(self, value: ir.Value | None) -> Codes:
        """The tensor for a float value with at most 8 bits: what multipliers take.

        Raises:
            NoIntegerForm: nothing stands for the value.
        """
        parameters = None if value is None else narrow_parameters_of(value)
        if value is None or parameters is None:
            return self.codes(value)
        if value not in self._narrow:
            source = self._codes.get(value)
            if value in self._accumulators or value in self._plain or source is None:
                narrow = self._integers(value, parameters)
            else:
                narrow = self.rescaled(source, parameters, f"{value.name}.narrow")
            self._narrow[value] = Codes(narrow, parameters)
            annotate(narrow, parameters)
        return self._narrow[value]

    def _require_format(self, value: ir.Value) -> QuantizationParameters:
        parameters = parameters_of(value)
        if parameters is None:
            raise MissingInput(value, _why_unquantized(value))
        return parameters

    def _integers(self, value: ir.Value, parameters: QuantizationParameters) -> ir.Value:
        """New codes of a value that an accumulator or a float tensor stands for."""
        accumulator = self._accumulators.get(value)
        if accumulator is not None:
            return self.requantize(value, accumulator, parameters)
        if value in self._plain:
            return self.quantize(value, self._plain[value], parameters)
        on_shapes = value.producer() in self.on_shapes
        raise MissingInput(
            value, "depends on the batch size" if on_shapes else "has no integer form"
        )

    def rescaled(self, x: Codes, wanted: QuantizationParameters, name: str) -> ir.Value:
        """The codes of `x` in another format, through a table."""
        table = self.constant(f"{name}.rescale", wanted.quantize(x.parameters.values()))
        inputs = [x.value, table]
        return self.emit("Table", inputs, x.value, code_type(wanted), name=f"{name}.rescaled")

    def requantize(
        self, value: ir.Value, accumulator: Accumulator, parameters: QuantizationParameters
    ) -> ir.Value:
        """An accumulator in the codes of `parameters`."""
        factor = accumulator.scale / parameters.scale
        multiplier, shift = choose_multiplier(
            factor,
            max_accumulator=accumulator.bound,
            bits=MULTIPLIER_BITS,
            output_bits=parameters.bits,
        )
        if multiplier.ndim == 1:
            if value.shape is None:
                raise NoIntegerForm(
                    f"the rank of '{value.name}' is not known",
                    "state the shape of this value in the model (value_info)",
                )
            shape = [1] * len(value.shape)
            shape[accumulator.axis] = -1
            multiplier = multiplier.reshape(shape)
        return self.scale_and_round(value, accumulator.value, multiplier, shift, parameters)

    def scale_and_round(
        self,
        value: ir.Value,
        accumulator: ir.Value,
        multiplier: Array,
        shift: int,
        parameters: QuantizationParameters,
    ) -> ir.Value:
        """actc::Requantize of `accumulator`, which stands for `value`."""
        name = str(value.name)
        inputs = [
            accumulator,
            self.constant(f"{name}.multiplier", np.asarray(multiplier, np.int32)),
            self.constant(f"{name}.shift", np.array(shift, np.int32)),
            self.constant(f"{name}.zero", np.array(parameters.zero_point, parameters.dtype)),
            self.constant(f"{name}.low", np.array(parameters.low, parameters.dtype)),
            self.constant(f"{name}.high", np.array(parameters.high, parameters.dtype)),
        ]
        return self.emit("Requantize", inputs, value, code_type(parameters), name=name)

    def quantize(
        self, value: ir.Value, golden: ir.Value, parameters: QuantizationParameters
    ) -> ir.Value:
        """The float tensor `golden` of the golden graph in the codes of `parameters`."""
        name, dtype = str(value.name), code_type(parameters)
        inputs = [golden, *self.parameter_constants(name, parameters)]
        codes = self.emit("QuantizeLinear", inputs, value, dtype, name=name, domain="")
        if parameters.bits in (8, 16):
            return codes
        # QuantizeLinear saturates to its type, not to the codes
        unit = np.array(2, np.int32)
        at_zero = dataclasses.replace(parameters, zero_point=0)
        return self.scale_and_round(value, codes, unit, 1, at_zero)

    def _quantize_constant(self, value: ir.Value, bits: int) -> None:
        assert value.const_value is not None
        array = value.const_value.numpy()
        parameters = QuantizationParameters.from_range(
            float(array.min()), float(array.max()), bits=bits, power_of_two=self.power_of_two
        )
        codes = self.constant(f"{value.name}.q", parameters.quantize(array))
        self.set_codes(value, Codes(codes, parameters))

    def constant_codes(self, value: ir.Value, bits: int = 8) -> Codes:
        """A float constant as codes of its own format, of at least `bits` bits."""
        if value not in self._codes or self._codes[value].parameters.bits < bits:
            self._quantize_constant(value, bits)
        return self._codes[value]

    def parameter_constants(
        self, name: str, parameters: QuantizationParameters
    ) -> tuple[ir.Value, ir.Value]:
        """Scale (float32) and zero point (typed as the codes) as initializers."""
        return (
            self.constant(f"{name}.scale", np.array(parameters.scale, np.float32)),
            self.constant(f"{name}.zero_point", np.array(parameters.zero_point, parameters.dtype)),
        )

    def zero(self, codes: Codes, name: str) -> ir.Value:
        """The zero point of `codes` as an initializer."""
        zero = np.array(codes.parameters.zero_point, codes.parameters.dtype)
        return self.constant(f"{name}.x_zero", zero)

    def formats(self, value: ir.Value) -> QuantizationParameters:
        """The format that `quantize` chose for a float value.

        Raises:
            NoIntegerForm: it chose none.
        """
        parameters = parameters_of(value)
        if parameters is None:
            raise NoIntegerForm(f"its output '{value.name}' has no integer format")
        return parameters

    def refuse(self, node: ir.Node, problem: NoIntegerForm) -> None:
        """Record that `node` cannot be lowered, and go on.

        A node that only lacks an input whose own node was refused is not reported.
        """
        follows = isinstance(problem, MissingInput) and problem.value in self._refused
        self._refused.update(node.outputs)
        if not follows:
            self._report(node, problem)

    def fail(self, node: ir.Node, problem: ModelError) -> None:
        """Record what numerics say against the numbers of `node`, and go on."""
        self._refused.update(node.outputs)
        for diagnostic in problem.diagnostics:
            notes = (*diagnostic.notes, KEEPS_FLOAT)
            self.context.sink.add(
                dataclasses.replace(diagnostic, place=self._place(node), notes=notes)
            )

    def fail_output(self, value: ir.Value, problem: NoIntegerForm) -> None:
        """Record that an output of the model cannot be given."""
        producer = value.producer()
        if producer is not None:
            self.refuse(producer, problem)
            return
        self.context.sink.add(
            Diagnostic(
                "ACT0104",
                f"output '{value.name}' is a constant",
                place=Place(self.context.file, str(value.name)),
                help="leave it out of the model",
            )
        )

    def pass_on_refusal(self, node: ir.Node) -> None:
        """Mark what a node gives as refused when something that it reads is."""
        if any(value in self._refused for value in node.inputs):
            self._refused.update(node.outputs)

    def _report(self, node: ir.Node, problem: NoIntegerForm) -> None:
        reason = f" here: {problem}" if str(problem) else ""
        self.context.sink.add(
            Diagnostic(
                "ACT0103",
                f"operator {node.op_type} has no integer form{reason}",
                place=self._place(node),
                notes=(KEEPS_FLOAT,),
                help=problem.help or hint(node.op_type),
            )
        )

    def _place(self, node: ir.Node) -> Place:
        return Place(self.context.file, str(node.name or node.outputs[0].name), node.op_type)


def _why_unquantized(value: ir.Value) -> str:
    if value.dtype == ir.DataType.FLOAT or value.dtype is None:
        return "has no integer format: it was not seen in calibration"
    return f"is a tensor of {value.dtype.name.lower()}, not of float32 numbers"


def code_type(parameters: QuantizationParameters) -> ir.DataType:
    """Type of a tensor of codes."""
    return ir.DataType.UINT8 if parameters.bits <= 8 else ir.DataType.UINT16


_SUFFIX = {
    ir.DataType.UINT8: "q",
    ir.DataType.UINT16: "q",
    ir.DataType.INT32: "acc",
    ir.DataType.INT64: "acc",
    ir.DataType.FLOAT: "f",
}
