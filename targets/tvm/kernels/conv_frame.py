"""What every convolution kernel shares: arguments, the batch loop, the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.kernels.conv_epilogue import (
    Multiplier,
    add_residual,
    apply_channel_table,
    load_multiplier,
    requantized,
)
from actc.targets.tvm.kernels.conv_isa import DotProduct
from actc.targets.tvm.kernels.conv_vector import Buffer, Expr, alias, load, store
from actc.targets.tvm.kernels.spec import ConvSpec, padded
from actc.targets.tvm.kernels.tir import table_in_place

Activation: TypeAlias = Callable[..., Expr]
"""Vector code of a function of a float accumulator and of the residuals."""

_LARGEST_LOCAL = 240
"""Numbers of a local array that TVM leaves on the stack: less than 1 KiB."""


@dataclass(frozen=True, slots=True)
class Output:
    """Where a kernel stores.

    Attributes:
        buffer: flat, of one sample or of all.
        residuals: other tensors that lie like it.
    """

    buffer: Buffer
    residuals: tuple[Buffer, ...] = ()


class KernelFrame:
    """Signature and batch loop of a convolution kernel.

    Args:
        spec: the convolution.
        dot: how to multiply; its types are those of the arguments.
        weight_size: elements of the packed weights.
        features: LLVM's CPU features.
        activation: applied to accumulators before they are stored.
        residuals: number of tensors that `activation` takes beside the accumulator.

    Attributes:
        weight, bias, multiplier, table, residual_table: argument buffers, set inside
            `prim_func`; None where the epilogue takes none.
        batch: number of samples, or the variable that holds it; set inside `prim_func`.
    """

    def __init__(
        self,
        spec: ConvSpec,
        dot: DotProduct,
        weight_size: int,
        features: frozenset[str],
        activation: Activation | None = None,
        residuals: int = 0,
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
        self.residual_table: Buffer | None = None
        self._residual_count = residuals if spec.residual is None else 1
        self._residuals: list[Buffer] = []
        self.batch: Expr = None
        self._x: Buffer = None
        self._out: Buffer = None

    @property
    def out_type(self) -> str:
        """Element type of the output."""
        stored = self.spec.epilogue.out_dtype
        return self.dot.total_type if stored == "int32" else stored

    @property
    def finishes(self) -> bool:
        """Whether `finish_row` has something to do."""
        return self.table is not None or self.spec.residual is not None

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

    def sample(self, n: Expr) -> tuple[Buffer, Output]:
        """The input of sample `n` as words, and its output."""
        words, size = self._sizes()
        one = alias(self._x, self.dot.word_type, words, n * words)
        return one, self._stored(size, n * size)

    def samples(self) -> tuple[Buffer, Output]:
        """The inputs of all samples as words, and their outputs."""
        words, size = self._sizes()
        whole = alias(self._x, self.dot.word_type, self.batch * words)
        return whole, self._stored(self.batch * size, 0)

    def _stored(self, size: Expr, first: Expr) -> Output:
        out, *others = (
            alias(buffer, self.out_type, size, first) for buffer in (self._out, *self._residuals)
        )
        return Output(out, tuple(others))

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
        self, out: Output, offset: Expr, total: Expr, multiplier: Multiplier | None, lanes: int
    ) -> None:
        """Store one accumulator vector, requantized unless `multiplier` is None."""
        if multiplier is not None:
            total = requantized(total, multiplier, self.spec.epilogue, lanes)
        store(out.buffer, offset, total, lanes)

    def store_pixels(
        self,
        out: Output,
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
        self, out: Output, offsets: list[Expr], step: int, acc: list[list[Buffer]], lanes: int
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
                at = T.Bind(offset + pixel * step)
                total = T.Bind(load(place, pixel * lanes, lanes))
                others = [T.Bind(load(buffer, at, lanes)) for buffer in out.residuals]
                store(out.buffer, at, self.activation(total, *others), lanes)

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
        self._residuals = [
            T.arg(f"residual{index}", T.buffer(out_shape, self.out_type))
            for index in range(self._residual_count)
        ]
        if spec.residual is not None and spec.residual.epilogue.table_size(channels):
            self.residual_table = T.arg("residual_table", T.buffer((256,), "uint8"))
        out = T.arg("out", T.buffer(out_shape, self.out_type))
        return x, out, batch

    def finish_row(self, out: Output, row: Expr, pixels: int) -> None:
        """Apply the table and add the residual, if there are any, in a row of `pixels` pixels.

        Both happen in place: once, when nobody writes the row again.
        """
        channels, spec, codes = padded(self.spec.out_c), self.spec, out.buffer
        start, count = row * (pixels * channels), pixels * channels
        if spec.epilogue.kind == "requantize+table":
            table_in_place(codes, start, count, self.table, self.features)
        elif spec.epilogue.kind == "requantize+channel_table":
            apply_channel_table(codes, start, pixels, channels, self.table)
        if spec.residual is not None:
            add_residual(codes, out.residuals[0], start, count, spec.residual)
        if self.residual_table is not None:
            table_in_place(codes, start, count, self.residual_table, self.features)
