"""Determinants of matrices, and counts of runs of numbers."""

from __future__ import annotations

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from actc.targets.tvm.generic import arithmetic as n
from actc.targets.tvm.generic.kernel import (
    Cell,
    Expr,
    Kernel,
    KernelFunction,
    const,
    int64,
    keep,
    nest,
    select,
    when,
)
from actc.targets.tvm.generic.places import both


def _det(k: Kernel) -> None:
    """Gaussian elimination with the largest pivot of each column, in float64."""
    x = k.inputs[0]
    size = int(x.shape[-1])
    m = T.alloc_buffer((size, size), "float64")
    zero, one = const(0, "float64"), const(1, "float64")
    with nest(k.out.shape) as outer:
        with nest([size, size]) as (i, j):
            T.buffer_store(m, tirx.Cast("float64", x[[*outer, i, j]]), [i, j])
        found = Cell(one)
        with nest([size]) as (c,):
            best = Cell(c)
            with nest([size]) as (i,), when(i > c):
                larger = n.magnitude(keep(m[i, c])) > n.magnitude(keep(m[best.value, c]))
                best.set(select(larger, i, best.value))
            pivot = keep(m[best.value, c])
            found.set(found.value * select(tirx.EQ(best.value, c), pivot, n.negate(pivot)))
            with nest([size]) as (j,):
                upper, lower = keep(m[c, j]), keep(m[best.value, j])
                T.buffer_store(m, upper, [best.value, j])
                T.buffer_store(m, lower, [c, j])
            safe = keep(select(tirx.EQ(pivot, zero), one, pivot))
            with nest([size]) as (i,), when(i > c):
                factor = keep(m[i, c] / safe)
                with nest([size]) as (j,):
                    T.buffer_store(m, m[i, j] - factor * m[c, j], [i, j])
        k.out.store(outer, tirx.Cast(k.out.compute, found.value))


def _tfidf(k: Kernel) -> None:
    """Counts of given runs of numbers, with gaps between them, weighted or not."""
    x = k.inputs[0]
    runs = list(_runs(k))
    weights = k.attribute("weights", ()) or (1.0,) * len(runs)
    places = k.attribute("ngram_indexes", ())
    mode = k.attribute("mode", "TF")
    length = int(x.shape[-1])
    with nest(k.out.shape) as index:
        k.out.store(index, const(0, k.out.compute))
    with nest(x.shape[:-1]) as row:
        for number, run in enumerate(runs):
            if not k.attribute("min_gram_length", 1) <= len(run):
                continue
            if len(run) > k.attribute("max_gram_length", 1):
                continue
            count = Cell(const(0, k.out.compute))
            skips = k.attribute("max_skip_count", 0) if len(run) > 1 else 0
            for step in range(1, skips + 2):
                starts = length - (len(run) - 1) * step
                if starts > 0:
                    with nest([starts]) as (start,):
                        hit = _matches(k, row, start, step, run)
                        more = count.value + const(1, k.out.compute)
                        count.set(select(hit, more, count.value))
            weight = const(weights[number], k.out.compute)
            value = count.value
            if mode == "IDF":
                value = select(value > const(0, k.out.compute), weight, value)
            elif mode == "TFIDF":
                value = value * weight
            k.out.store([*row, int64(places[number])], keep(value))


def _matches(k: Kernel, row: list[Expr], start: Expr, step: int, run: tuple[int, ...]) -> Expr:
    x = k.inputs[0]
    return both(
        *(
            tirx.EQ(int64(x[[*row, start + int64(i * step)]]), int64(value))
            for i, value in enumerate(run)
        )
    )


def _runs(k: Kernel) -> list[tuple[int, ...]]:
    """The runs: pools of one, two, ... numbers, one behind the other."""
    pool, starts = k.attribute("pool_int64s", ()), k.attribute("ngram_counts", ())
    ends = (*starts[1:], len(pool))
    found = []
    for size, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
        found += [tuple(pool[i : i + size]) for i in range(start, end, size)]
    return found


KERNELS: dict[str, KernelFunction] = {"Det": _det, "TfIdfVectorizer": _tfidf}
