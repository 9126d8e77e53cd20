"""The headers that stand for the vendor's in simulation: exact, of any width, also in old C++."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from bnn_hls_designs import RANGES, designed, network
from installed import needs_gxx

from actc.targets.bnn_hls.simulation import compile_testbench, sources, write_sources
from actc.targets.fpga.folded.program import Stream

pytestmark = needs_gxx

WIDTHS = ((1, 1), (7, 13), (32, 31), (63, 64), (64, 65), (128, 3), (784, 100), (4096, 2049))
OPERATORS = {
    "+": "signed", "-": "signed", "*": "signed", "&": "bits", "|": "bits", "^": "bits",
}  # fmt: skip
_PRELUDE = """\
#include <cstdio>
#include "ap_int.h"

template <int W, bool S>
void show(const ap_int_base<W, S>& value) {
  for (int i = value.WORDS - 1; i >= 0; i--)
    std::printf("%016llx", (unsigned long long)value.words[i]);
  std::printf("\\n");
}

int main() {
"""


def wrapped(value: int, width: int, signed: bool) -> int:
    """What so many bits hold."""
    value &= (1 << width) - 1
    return value - (1 << width) if signed and value >> (width - 1) else value


def literal(value: int, width: int, signed: bool) -> str:
    kind = "ap_int" if signed else "ap_uint"
    return f'{kind}<{width}>("0x{value & ((1 << width) - 1):x}", 16)'


def big(rng: np.random.Generator, width: int) -> int:
    kind = int(rng.integers(4))
    if kind < 2:  # the ends
        return (1 << width) - 1 if kind else 0
    return int.from_bytes(rng.bytes(width // 8 + 1), "little") % (1 << width)


def operations(seed: int) -> tuple[list[str], list[int]]:
    """Statements that print, and what they must print."""
    rng = np.random.default_rng(seed)
    lines, right = [], []
    for a_width, b_width in WIDTHS:
        for a_signed in (False, True):
            for b_signed in (False, True):
                a = wrapped(big(rng, a_width), a_width, a_signed)
                b = wrapped(big(rng, b_width), b_width, b_signed)
                x, y = literal(a, a_width, a_signed), literal(b, b_width, b_signed)
                both = {"+": a + b, "-": a - b, "*": a * b, "&": a & b, "|": a | b, "^": a ^ b}
                for sign, value in both.items():
                    # wide enough for every result, of both signs
                    width = a_width + b_width + 2
                    lines.append(f"show(ap_int<{width}>({x} {sign} {y}));")
                    right.append(value)
                    lines.append(f"show(ap_uint<{a_width}>({x} {sign} {y}));")
                    right.append(value & ((1 << a_width) - 1))
                truths = {"<": a < b, "<=": a <= b, "==": a == b, "!=": a != b, ">": a > b}
                for sign, truth in truths.items():
                    lines.append(f"show(ap_uint<1>({x} {sign} {y}));")
                    right.append(int(truth))
                lines.append(f"show(ap_int<{b_width}>({x}));")
                right.append(wrapped(a, b_width, True))
                lines.append(f"show(~{x});")
                right.append(wrapped(~a, a_width, a_signed))
        low = int(rng.integers(0, a_width))
        high = int(rng.integers(low, a_width))
        part, value = high - low + 1, big(rng, a_width)
        put = big(rng, part)
        lines.append(
            f"{{ ap_uint<{a_width}> v = {literal(value, a_width, False)}; "
            f"const ap_uint<{part}> r = v.range({high}, {low}); show(r); "
            f"v.range({high}, {low}) = {literal(put, part, False)}; show(v); "
            f"v[{low}] = !v[{low}]; show(v); }}"
        )
        right.append(value >> low & ((1 << part) - 1))
        kept = value & ~(((1 << part) - 1) << low) | put << low
        right += [kept, kept ^ 1 << low]
    return lines, right


@pytest.mark.parametrize("seed", range(2))
def test_integers_are_exact(seed: int, tmp_path: Path) -> None:
    lines, right = operations(seed)
    functions = [
        f"static void part{n}() {{\n" + "\n".join(lines[n * 60 : (n + 1) * 60]) + "\n}\n"
        for n in range(-(-len(lines) // 60))
    ]
    calls = "\n".join(f"part{n}();" for n in range(len(functions)))
    top = _PRELUDE.replace("int main() {\n", "") + "".join(functions)
    (tmp_path / "main.cpp").write_text(top + f"int main() {{\n{calls}\nreturn 0;\n}}\n")
    headers = Path(__file__).parent.parent / "targets" / "bnn_hls" / "include"
    argv = ["g++", "-O0", "-Wall", "-Wextra", "-Werror", f"-I{headers}"]
    subprocess.run([*argv, "main.cpp", "-o", "main"], cwd=tmp_path, check=True)
    shown = subprocess.run(["./main"], cwd=tmp_path, check=True, capture_output=True, text=True)
    found = shown.stdout.split()
    assert len(found) == len(right)
    for text, value in zip(found, right, strict=True):
        assert int(text, 16) == value & ((1 << 4 * len(text)) - 1)


def test_the_code_is_old_cpp(tmp_path: Path) -> None:
    """Vivado HLS has a compiler of 2011: the C++ is that of 1998."""
    first = Stream(4, 4, 2, RANGES["few"])
    program = network(np.random.default_rng(5), first=first)
    design = designed(program, np.random.default_rng(1), "vivado")
    write_sources(tmp_path / "hls", sources(design))
    strict = ("-std=c++98", "-pedantic-errors", "-Wno-long-long", "-O0", "-fsyntax-only")
    compile_testbench(tmp_path / "hls", design.network.name, tmp_path / "none", strict)
