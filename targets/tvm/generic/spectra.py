"""Discrete Fourier transforms by their sums, and window functions; sums in float64."""

from __future__ import annotations

import math

from tvm import tirx

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.gather import line
from actc.targets.tvm.generic.kernel import (
    Array,
    Cell,
    Expr,
    Kernel,
    KernelFunction,
    const,
    int64,
    keep,
    nest,
    require,
    select,
    when,
)
from actc.targets.tvm.generic.places import both, clamped, integer, wrapped

_DECLARED = "the operands give another shape than the model declares"
Complex = tuple[Expr, Expr]


def _real(value: float) -> Expr:
    return const(value, "float64")


def _wide(value: Expr) -> Expr:
    return keep(tirx.Cast("float64", value))


def _turn(product: Expr, length: Expr, backwards: bool) -> Complex:
    """Cosine and sine of a whole number of parts of a turn."""
    part = keep(_wide(tirx.floormod(product, length)) / _wide(length))
    angle = keep(part * _real(2 * math.pi))
    sine = n.libm("sin", angle)
    return n.libm("cos", angle), sine if backwards else n.negate(sine)


def _element(x: Array, index: list[Expr]) -> Complex:
    """A real or complex element; the last axis has one or two parts."""
    real = _wide(x[[*index, int64(0)]])
    return real, _wide(x[[*index, int64(1)]]) if x.shape[-1] == 2 else _real(0)


def _store(k: Kernel, index: list[Expr], value: Complex) -> None:
    for part in range(int(k.out.shape[-1])):
        k.out.store([*index, int64(part)], tirx.Cast(k.out.compute, value[part]))


def _dft(k: Kernel) -> None:
    """Along an axis that may be known only at run time."""
    x, length, axis = (*k.inputs, None, None)[:3]
    chosen = int64(x.rank - 2) if axis is None else wrapped(integer(axis), x.rank)
    half = bool(k.attribute("onesided", 0))
    inverse = bool(k.attribute("inverse", 0))
    done = Cell(int64(0))
    for a in range(x.rank - 1):
        others = [e for i, e in enumerate(x.shape[:-1]) if i != a]
        if others != [e for i, e in enumerate(k.out.shape[:-1]) if i != a]:
            continue
        whole = int(x.shape[a]) if not (half and inverse) else 2 * (int(x.shape[a]) - 1)
        size = int64(whole) if length is None else integer(length)
        bins = keep(tirx.floordiv(size, int64(2)) + int64(1)) if half and not inverse else size
        with when(both(tirx.EQ(chosen, int64(a)), tirx.EQ(bins, int64(k.out.shape[a])))):
            _transform(k, x, a, size, half and inverse, inverse)
            done.set(int64(1))
    require(tirx.EQ(done.value, int64(1)), _DECLARED)


def _transform(k: Kernel, x: Array, axis: int, size: Expr, mirrored: bool, inverse: bool) -> None:
    extent = int64(x.shape[axis])
    with nest(k.out.shape[:-1]) as index:
        real, imaginary = Cell(_real(0)), Cell(_real(0))
        count = size if mirrored else keep(select(size < extent, size, extent))
        with nest([count]) as (j,):
            upper = keep(j * int64(2) > size) if mirrored else const(0, "bool")
            place = keep(select(upper, size - j, j)) if mirrored else j
            a, b = _element(x, line(index, axis, clamped(place, 0, extent - int64(1))))
            if mirrored:  # the other half of a real signal's spectrum
                b = keep(select(upper, n.negate(b), b))
                there = place < extent
                a, b = (keep(select(there, v, _real(0))) for v in (a, b))
            cosine, sine = _turn(j * index[axis], size, inverse)
            real.set(real.value + keep(a * cosine - b * sine))
            imaginary.set(imaginary.value + keep(a * sine + b * cosine))
        scale = keep(_real(1) / _wide(size)) if inverse else _real(1)
        _store(k, index, (keep(real.value * scale), keep(imaginary.value * scale)))


def _stft(k: Kernel) -> None:
    """Transforms of windowed pieces of a signal [samples, length, 1 or 2]."""
    x, step, window, length = (*k.inputs, None, None)[:4]
    frames, bins = int(k.out.shape[1]), int(k.out.shape[2])
    if length is not None:
        size = integer(length)
    else:
        size = int64(x.shape[1] if window is None else window.shape[0])
    half = bool(k.attribute("onesided", 1))
    wanted = keep(tirx.floordiv(size, int64(2)) + int64(1)) if half else size
    stride = integer(step)
    last = keep(int64(frames - 1) * stride + size)
    require(both(tirx.EQ(wanted, int64(bins)), last <= int64(x.shape[1])), _DECLARED)
    with nest(k.out.shape[:-1]) as (sample, frame, place):
        real, imaginary = Cell(_real(0)), Cell(_real(0))
        with nest([size]) as (j,):
            a, b = _element(x, [sample, keep(frame * stride + j)])
            if window is not None:
                factor = _wide(window[[j]])
                a, b = keep(a * factor), keep(b * factor)
            cosine, sine = _turn(j * place, size, False)
            real.set(real.value + keep(a * cosine - b * sine))
            imaginary.set(imaginary.value + keep(a * sine + b * cosine))
        _store(k, [sample, frame, place], (real.value, imaginary.value))


def _window(*terms: float) -> KernelFunction:
    """A sum of cosines, periodic or symmetric."""

    def kernel(k: Kernel) -> None:
        extent = int(k.out.shape[0])
        require(tirx.EQ(integer(k.inputs[0]), int64(extent)), _DECLARED)
        length = extent if k.attribute("periodic", 1) else extent - 1
        with nest(k.out.shape) as index:
            total = _real(terms[0])
            for order, term in enumerate(terms[1:], 1):
                turn = _wide(index[0]) * _real(2 * math.pi * order / max(length, 1))
                total = keep(total + _real(term) * n.libm("cos", keep(turn)))
            k.out.store(index, tirx.Cast(k.out.compute, total))

    return kernel


def _mel(value: Expr) -> Expr:
    return keep(_real(2595) * n.libm("log10", keep(_real(1) + value / _real(700))))


def _mel_weights(k: Kernel) -> None:
    """Triangles between frequencies that are evenly spaced on the mel scale."""
    bins, length, rate, low, high = (keep(x[[0] * x.rank]) for x in k.inputs)
    rows, columns = (int(e) for e in k.out.shape)
    halves = tirx.floordiv(int64(length), int64(2)) + int64(1)
    same = both(tirx.EQ(int64(bins), int64(columns)), tirx.EQ(keep(halves), int64(rows)))
    require(same, _DECLARED)
    first, last = _mel(_wide(low)), _mel(_wide(high))
    step = keep((last - first) / _real(columns + 2))

    def edge(number: Expr) -> Expr:
        """The spectrum's bin of an edge."""
        mel = keep(first + _wide(number) * step)
        raised = n.libm("pow", _real(10), keep(mel / _real(2595)))
        frequency = keep(_real(700) * (raised - _real(1)))
        place = keep((_wide(length) + _real(1)) * frequency / _wide(rate))
        return keep(tirx.Cast("int64", n.intrinsic("floor", place)))

    with nest(k.out.shape) as (row, column):
        start, middle, end = (edge(column + int64(i)) for i in range(3))
        rise = keep(_wide(row - start) / _wide(_positive(middle - start)))
        fall = keep(_wide(end - row) / _wide(_positive(end - middle)))
        up = both(row >= start, row < middle)
        down = both(row >= middle, row < end)
        value = select(
            tirx.EQ(row, middle), _real(1), select(up, rise, select(down, fall, _real(0)))
        )
        k.out.store([row, column], tirx.Cast(k.out.compute, keep(value)))


def _positive(value: Expr) -> Expr:
    return keep(select(value < int64(1), int64(1), value))


KERNELS: dict[str, KernelFunction] = {
    "BlackmanWindow": _window(0.42, -0.5, 0.08),
    "DFT": _dft,
    "HammingWindow": _window(25 / 46, -21 / 46),
    "HannWindow": _window(0.5, -0.5),
    "MelWeightMatrix": _mel_weights,
    "STFT": _stft,
}
