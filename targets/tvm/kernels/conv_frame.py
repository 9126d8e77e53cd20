"""What every convolution kernel shares: arguments, the batch loop, the tables."""

from __future__ import annotations

from collections.abc import Callable

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import (
    Multiplier,
    apply_channel_table,
    load_multiplier,
)
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, alias
from actc.targets.tvm.kernels.spec import ConvSpec, padded
from actc.targets.tvm.kernels.tir import table_in_place

Scratch = tuple[Buffer | None, Buffer | None]


class KernelFrame:
    """Signature and batch loop of a convolution kernel.

    Args:
        spec: the convolution.
        weight_bytes: size of the packed weights.
        features: LLVM's CPU features.

    Attributes:
        weight, bias, multiplier, table: argument buffers, set inside `prim_func`;
            None where the epilogue takes none.
    """

    def __init__(self, spec: ConvSpec, weight_bytes: int, features: frozenset[str]) -> None:
        self.spec = spec
        self.weight_bytes = weight_bytes
        self.features = features
        self.weight: Buffer = None
        self.bias: Buffer = None
        self.multiplier: Buffer | None = None
        self.table: Buffer | None = None

    def prim_func(
        self,
        name: str,
        allocate: Callable[[], Scratch],
        sample: Callable[[Buffer, Buffer, Scratch], None],
    ) -> Expr:
        """Build the PrimFunc.

        Args:
            name: its global symbol.
            allocate: makes scratch buffers, once per call of the kernel.
            sample: emits the code for one sample from its input as int32 words
                and its output.
        """
        spec = self.spec
        with IRBuilder() as builder:
            with T.prim_func():
                T.func_name(name)
                T.func_attr({"global_symbol": name, "tirx.noalias": True})
                x, out, batch = self._arguments()
                words = spec.in_h * spec.in_w * padded(spec.in_c) // 4
                size = spec.out_h * spec.out_w * padded(spec.out_c)
                scratch = allocate()
                with T.serial(0, batch) as n:
                    one = alias(x, "int32", words, n * words)
                    result = alias(out, spec.epilogue.out_dtype, size, n * size)
                    sample(one, result, scratch)
            return builder.get()

    def prim_func_across(self, name: str, samples: Callable[[Buffer, Buffer, Expr], None]) -> Expr:
        """Build the PrimFunc without a loop over samples.

        Args:
            name: its global symbol.
            samples: emits the code for all samples from their input as int32
                words, their output and their number.
        """
        spec = self.spec
        with IRBuilder() as builder:
            with T.prim_func():
                T.func_name(name)
                T.func_attr({"global_symbol": name, "tirx.noalias": True})
                x, out, batch = self._arguments()
                words = spec.in_h * spec.in_w * padded(spec.in_c) // 4
                size = spec.out_h * spec.out_w * padded(spec.out_c)
                whole = alias(out, spec.epilogue.out_dtype, batch * size)
                samples(alias(x, "int32", batch * words), whole, batch)
            return builder.get()

    def multipliers(self, starts: list[Expr], lanes: int) -> list[Multiplier]:
        """The multipliers of vectors of channels; empty when accumulators are stored."""
        if self.multiplier is None:
            return []
        return [load_multiplier(self.multiplier, start, lanes) for start in starts]

    def _arguments(self) -> tuple[Buffer, Buffer, Expr]:
        spec = self.spec
        channels = padded(spec.out_c)
        batch = T.int64() if spec.batch is None else spec.batch
        x_shape = (batch, spec.in_h, spec.in_w, padded(spec.in_c))
        x = T.arg("x", T.buffer(x_shape, "uint8"))
        self.weight = T.arg("packed_weight", T.buffer((self.weight_bytes,), "int8"))
        self.bias = T.arg("bias", T.buffer((channels,), "int32"))
        if spec.epilogue.kind != "accumulator":
            self.multiplier = T.arg("multiplier", T.buffer((channels,), "int32"))
        table_size = spec.epilogue.table_size(channels)
        if table_size:
            self.table = T.arg("table", T.buffer((table_size,), "uint8"))
        out_shape = (batch, spec.out_h, spec.out_w, channels)
        out = T.arg("out", T.buffer(out_shape, spec.epilogue.out_dtype))
        return x, out, batch

    def finish_row(self, out: Buffer, row: Expr, pixels: int) -> None:
        """Apply the table, if there is one, to a finished row of `pixels` pixels."""
        channels = padded(self.spec.out_c)
        start = row * (pixels * channels)
        if self.table is None:
            return
        if self.spec.epilogue.kind == "requantize+table":
            table_in_place(out, start, pixels * channels, self.table, self.features)
        else:
            apply_channel_table(out, start, pixels, channels, self.table)
