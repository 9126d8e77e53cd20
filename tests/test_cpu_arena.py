"""Where the target cpu puts activations: nothing that is alive at the same time overlaps."""

from __future__ import annotations

import itertools

import numpy as np

from actc.targets.tvm.arena import ALIGNMENT, buffer_bytes, lay_out
from actc.targets.tvm.kernels.operand import Operand
from actc.targets.tvm.kernels.strided import Copy, Elementwise
from actc.targets.tvm.plan import Buffer, Call, KernelPlan

COPY = Elementwise(
    None,
    (1,),
    (Operand("uint8", (1,), True, (0,)),),
    Operand("uint8", (1,), True, (0,)),
    Copy(),
)


def random_plan(seed: int) -> KernelPlan:
    """Calls that read up to two of the buffers before them."""
    rng = np.random.default_rng(seed)
    buffers = {"in": Buffer("float32", None, (5,))}
    calls = []
    for index in range(int(rng.integers(1, 12))):
        known = list(buffers)
        sources = tuple(str(s) for s in rng.choice(known, min(2, len(known)), replace=False))
        name = f"b{index}"
        dtype = str(rng.choice(["uint8", "int32", "float32"]))
        batch = None if rng.random() < 0.8 else 3
        buffers[name] = Buffer(dtype, batch, (int(rng.integers(1, 300)),))
        calls.append(Call(COPY, (*sources, "constant"), name, name))
    last = calls[-1].output
    constants = {"constant": np.zeros(1, np.uint8)}
    return KernelPlan({"in": buffers["in"]}, {"out": last}, buffers, constants, tuple(calls))


def test_buffers_alive_together_do_not_overlap() -> None:
    for seed in range(200):
        plan = random_plan(seed)
        arena = lay_out(plan)
        written = [call.output for call in plan.calls]
        assert set(arena.places) == set(written) - set(plan.outputs.values())
        for batch in (1, 7):
            spans = {}
            for name, place in arena.places.items():
                buffer = plan.buffers[name]
                count = batch if buffer.batch is None else 1
                start = place.fixed + batch * place.per_sample
                assert start % ALIGNMENT == 0
                spans[name] = range(start, start + count * buffer_bytes(buffer))
                assert spans[name].stop <= arena.size.fixed + batch * arena.size.per_sample
            for index in range(len(plan.calls)):
                needed = {n for call in plan.calls[index:] for n in call.inputs}
                alive = {n for n in written[:index] if n in needed} | {written[index]}
                for a, b in itertools.combinations(alive & set(spans), 2):
                    assert spans[a].stop <= spans[b].start or spans[b].stop <= spans[a].start


def test_memory_is_used_again() -> None:
    buffers = {f"b{i}": Buffer("uint8", None, (64,)) for i in range(10)}
    calls = tuple(Call(COPY, (f"b{i}",), f"b{i + 1}", f"n{i}") for i in range(9))
    plan = KernelPlan({"b0": buffers["b0"]}, {"out": "b9"}, buffers, {}, calls)
    assert lay_out(plan).size.per_sample == 2 * 64
