"""What every convolution kernel shares: arguments, the batch loop, the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import (
    Multiplier,
    apply_channel_table,
    load_multiplier,
    requantized,
)
from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, alias, load, store
from actc.targets.tvm.kernels.spec import ConvSpec, padded
from actc.targets.tvm.kernels.tir import table_in_place

Activation: TypeAlias = Callable[[Expr], Expr]
"""Vector code of a function of one variable, applied to float accumulators."""

_LARGEST_LOCAL = 240
"""Numbers of a local array that TVM leaves on the stack: less than 1 KiB."""


class KernelFrame:
    """Signature and batch loop of a convolution kernel.

    Args:
        spec: the convolution.
        dot: how to multiply; its types are those of the arguments.
        weight_size: elements of the packed weights.
        features: LLVM's CPU features.
        activation: applied to accumulators before they are stored.

    Attributes:
        weight, bias, multiplier, table: argument buffers, set inside `prim_func`;
            None where the epilogue takes none.
        batch: number of samples, or the variable that holds it; set inside `prim_func`.
    """

    def __init__(
        self,
        spec: ConvSpec,
        dot: DotProduct,
        weight_size: int,
        features: frozenset[str],
        activation: Activation | None = None,
    ) -> None:
        self.spec = spec
        self.dot = dot
        self.weight_size = weight_size
        self.features = features
        self.activation = activation
        self.weight: Buffer = None
        self.bias: Buffer = None
        self.multiplier: Buffer | None = None
        self.table: Buffer | None = None
        self.batch: Expr = None
        self._x: Buffer = None
        self._out: Buffer = None

    @property
    def out_type(self) -> str:
        """Element type of the output."""
        stored = self.spec.epilogue.out_dtype
        return self.dot.total_type if stored == "int32" else stored

    def prim_func(self, name: str, emit: Callable[[], None]) -> Expr:
        """Build the PrimFunc.

        Args:
            name: its global symbol.
            emit: emits the code for all samples; `batch`, `sample` and the others then
                stand for the arguments.
        """
        with IRBuilder() as builder:
            with T.prim_func():
                T.func_name(name)
                T.func_attr({"global_symbol": name, "tirx.noalias": True})
                self._x, self._out, self.batch = self._arguments()
                emit()
            return builder.get()

    def sample(self, n: Expr) -> tuple[Buffer, Buffer]:
        """The input of sample `n` as words, and its output."""
        words, size = self._sizes()
        one = alias(self._x, self.dot.word_type, words, n * words)
        return one, alias(self._out, self.out_type, size, n * size)

    def samples(self) -> tuple[Buffer, Buffer]:
        """The inputs of all samples as words, and their outputs."""
        words, size = self._sizes()
        whole = alias(self._x, self.dot.word_type, self.batch * words)
        return whole, alias(self._out, self.out_type, self.batch * size)

    def _sizes(self) -> tuple[int, int]:
        spec = self.spec
        words = spec.in_h * spec.in_w * self.dot.pixel_words(spec.in_c)
        return words, spec.out_h * spec.out_w * padded(spec.out_c)

    def multipliers(self, starts: list[Expr], lanes: int) -> list[Multiplier]:
        """The multipliers of vectors of channels; empty when accumulators are stored."""
        if self.multiplier is None:
            return []
        return [load_multiplier(self.multiplier, start, lanes) for start in starts]

    def store(
        self, out: Buffer, offset: Expr, total: Expr, multiplier: Multiplier | None, lanes: int
    ) -> None:
        """Store one accumulator vector, requantized unless `multiplier` is None."""
        if multiplier is not None:
            total = requantized(total, multiplier, self.spec.epilogue, lanes)
        store(out, offset, total, lanes)

    def store_pixels(
        self,
        out: Buffer,
        offsets: list[Expr],
        step: int,
        acc: list[list[Buffer]],
        multipliers: list[Multiplier],
        lanes: int,
    ) -> None:
        """Store the accumulators of neighbouring pixels.

        Args:
            out: the output.
            offsets: where the first pixel's vectors go.
            step: from one pixel to the next.
            acc: per vector of a pixel, the accumulators of all pixels.
            multipliers: one per vector of a pixel; empty when accumulators are stored.
            lanes: of a vector.
        """
        if self.activation is not None:
            most = max(1, _LARGEST_LOCAL // lanes)
            for first in range(0, len(acc[0]), most):
                part = [column[first : first + most] for column in acc]
                starts = [offset + first * step for offset in offsets]
                self._activate(out, starts, step, part, lanes)
            return
        for index, (offset, column) in enumerate(zip(offsets, acc, strict=True)):
            for pixel, register in enumerate(column):
                total, factor = load(register, 0, lanes), multipliers[index : index + 1]
                at = offset + pixel * step
                self.store(out, at, total, factor[0] if factor else None, lanes)

    def _activate(
        self, out: Buffer, offsets: list[Expr], step: int, acc: list[list[Buffer]], lanes: int
    ) -> None:
        """Apply the function pixel by pixel in a loop, so that its code is there once."""
        assert self.activation is not None
        pixels = len(acc[0])
        kept = [T.alloc_buffer((pixels * lanes,), self.dot.total_type) for _ in acc]
        for place, column in zip(kept, acc, strict=True):
            for pixel, register in enumerate(column):
                store(place, pixel * lanes, load(register, 0, lanes), lanes)
        with T.serial(0, pixels) as pixel:
            for place, offset in zip(kept, offsets, strict=True):
                total = T.Bind(load(place, pixel * lanes, lanes))
                store(out, offset + pixel * step, self.activation(total), lanes)

    def _arguments(self) -> tuple[Buffer, Buffer, Expr]:
        spec = self.spec
        channels = padded(spec.out_c)
        batch = T.int64() if spec.batch is None else spec.batch
        x_shape = (batch, spec.in_h, spec.in_w, padded(spec.in_c))
        x = T.arg("x", T.buffer(x_shape, self.dot.x_type))
        self.weight = T.arg("packed_weight", T.buffer((self.weight_size,), self.dot.weight_type))
        self.bias = T.arg("bias", T.buffer((channels,), self.dot.total_type))
        if spec.epilogue.kind != "accumulator":
            self.multiplier = T.arg("multiplier", T.buffer((channels,), "int32"))
        table_size = spec.epilogue.table_size(channels)
        if table_size:
            self.table = T.arg("table", T.buffer((table_size,), "uint8"))
        out_shape = (batch, spec.out_h, spec.out_w, channels)
        out = T.arg("out", T.buffer(out_shape, self.out_type))
        return x, out, batch

    def finish_row(self, out: Buffer, row: Expr, pixels: int) -> None:
        """Apply the table, if there is one, to a finished row of `pixels` pixels.

        A table is applied in place: once, when nobody writes the row again.
        """
        channels = padded(self.spec.out_c)
        start = row * (pixels * channels)
        if self.table is None:
            return
        if self.spec.epilogue.kind == "requantize+table":
            table_in_place(out, start, pixels * channels, self.table, self.features)
        else:
            apply_channel_table(out, start, pixels, channels, self.table)
