"""Random networks of nested branches and loops compute the same when they are written out."""

from __future__ import annotations

import random

import numpy as np
import onnx
import pytest
from models import network, normal, operators, proto_of, random_data, transformed

from actc.ir.execute import Session
from actc.passes.normalize import Normalize

WEIGHTS = {
    "w": normal(6, 6, scale=0.4),
    "v": normal(6, 6, scale=0.4, seed=1),
    "none": np.array(0),
    "one": np.array(1),
    "two": np.array(2),
    "three": np.array(3),
    "yes": np.array(True),
    "no": np.array(False),
}


class Program:
    """Statements over float[N,6] values, the numbers of steps, and what stands outside."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.count = 0

    def model(self) -> onnx.ModelProto:
        statements, seen = self.block(["x"], [], self.random.randint(1, 3))
        statements.append(f"y = Add ({seen[-1]}, {self.random.choice(seen)})")
        statements.append(f"z = Identity ({self.random.choice(seen)})")
        body = "\n".join(statements)
        words = set("".join(c if c.isalnum() else " " for c in body).split())
        weights = {name: array for name, array in WEIGHTS.items() if name in words}
        return network("float[N,6] x => float[N,6] y, float[N,6] z", body, weights)

    def fresh(self, kind: str) -> str:
        self.count += 1
        return f"{kind}{self.count}"

    def block(self, seen: list[str], steps: list[str], depth: int) -> tuple[list[str], list[str]]:
        """Statements that read `seen`, and the names that they give."""
        statements: list[str] = []
        new: list[str] = []
        for _ in range(self.random.randint(1, 3)):
            kinds = [self.plain, self.plain, self.branch, self.loop][: 4 if depth else 2]
            text, names = self.random.choice(kinds)([*seen, *new], steps, depth)
            statements.append(text)
            new += names
        return statements, new

    def plain(self, seen: list[str], steps: list[str], depth: int) -> tuple[str, list[str]]:
        name, a, b = self.fresh("t"), self.random.choice(seen), self.random.choice(seen)
        forms = (f"Tanh ({a})", f"Neg ({a})", f"Add ({a}, {b})", f"MatMul ({a}, w)")
        return f"{name} = {self.random.choice((*forms, f'MatMul ({a}, v)'))}", [name]

    def branch(self, seen: list[str], steps: list[str], depth: int) -> tuple[str, list[str]]:
        name, before = self.fresh("f"), ""
        condition = self.random.choice(("yes", "no"))
        if steps and self.random.random() < 0.5:
            condition = self.fresh("c")
            limit = self.random.choice(("one", "two"))
            before = f"{condition} = Less ({self.random.choice(steps)}, {limit})\n"
        parts = []
        for which in ("then_branch", "else_branch"):
            statements, new = self.block(seen, steps, depth - 1)
            text = "\n".join(statements)
            parts.append(f"{which} = {self.fresh('g')} () => ({new[-1]}) {{ {text} }}")
        return f"{before}{name} = If ({condition}) < {', '.join(parts)} >", [name]

    def loop(self, seen: list[str], steps: list[str], depth: int) -> tuple[str, list[str]]:
        names = [self.fresh(kind) for kind in ("a", "b", "i", "g", "p", "q", "o", "n", "m")]
        a, b, i, go, p, q, on, n, m = names
        statements, new = self.block([*seen, p, q], [*steps, i], depth - 1)
        end = self.random.choice(
            (f"{on} = Identity ({go})", f"{on} = Less ({i}, one)", f"{on} = Identity (yes)")
        )
        carried = self.random.choice((p, q, new[0]))
        text = "\n".join(
            [end, *statements, f"{n} = Tanh ({new[-1]})", f"{m} = Identity ({carried})"]
        )
        body = (
            f"step (int64 {i}, bool {go}, float[N,6] {p}, float[N,6] {q}) =>"
            f" (bool {on}, float[N,6] {n}, float[N,6] {m}) {{ {text} }}"
        )
        count = self.random.choice(("none", "one", "two", "three"))
        begin = self.random.choice(("yes", "yes", "no", ""))
        first, second = self.random.choice(seen), self.random.choice(seen)
        return f"{a}, {b} = Loop ({count}, {begin}, {first}, {second}) < body = {body} >", [a, b]


@pytest.mark.parametrize("seed", range(20))
def test_random_programs(seed: int) -> None:
    model = Program(seed).model()
    feeds = random_data(model, 4)
    wanted = Session(model, optimize=False).run(feeds)
    result = transformed(model, Normalize(), data=feeds)
    assert not {"If", "Loop"} & set(operators(result))
    got = Session(proto_of(result)).run(feeds)
    for name, array in wanted.items():
        np.testing.assert_allclose(got[name], array, atol=1e-5, rtol=1e-4)
