"""The C++ around the kernels: the network as tables, and the emulation's list of kernels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from actc.targets.tvm.cuda.network import BATCH, Arena, Launch, Network, grows, sample_bytes

TEMPLATES = Path(__file__).parent / "templates"
HOST_FLAGS = ("-shared", "-fPIC", "-O2", "-std=c++17", "-s", "-Wl,--build-id=none")
EMULATION_FLAGS = (
    "-shared", "-fPIC", "-O2", "-std=c++17", "-fno-strict-aliasing", "-ffp-contract=off",
    "-march=native",
)  # fmt: skip


def network_header(network: Network) -> str:
    """network.h: what host.cpp reads of a network."""
    arguments: list[str] = []
    launches = []
    for launch in network.launches:
        launches.append(_launch(launch, len(arguments)))
        arguments += [_argument(network, name) for name in launch.arguments]
    most = max((len(launch.arguments) for launch in network.launches), default=1)
    ends = [
        [_end(network, buffer) for buffer in side.values()]
        for side in (network.inputs, network.outputs)
    ]
    return "\n".join(
        [
            "// The network: written by actc.",
            "#include <stddef.h>",
            "// ACTC_BUFFER: offset per sample, behind the buffers of fixed size.",
            "enum actc_kind { ACTC_BATCH, ACTC_NUMBER, ACTC_CONSTANT, ACTC_FIXED, ACTC_BUFFER };",
            "struct actc_argument { actc_kind kind; unsigned long long offset; };",
            "struct actc_launch {",
            "  const char *symbol; unsigned (*blocks)(unsigned n); unsigned threads;",
            "  int first, count;",
            "};",
            "struct actc_end { actc_argument at; size_t size; };  // of a sample, or of all",
            f"#define ACTC_MOST_ARGUMENTS {most}",
            f"static const int actc_batch = {network.batch or 0};  // 0: any",
            f"static const size_t actc_constants_size = {len(network.constants)}u;",
            f"static const unsigned long long actc_arena = {network.arena.sample}u;  // a sample",
            f"static const unsigned long long actc_fixed = {network.arena.fixed}u;  // in front",
            _table("actc_argument actc_arguments", arguments),
            _table("actc_launch actc_launches", launches),
            f"static const int actc_launch_count = {len(launches)};",
            _table("actc_end actc_inputs", ends[0]),
            _table("actc_end actc_outputs", ends[1]),
            f"static const int actc_input_total = {len(ends[0])};",
            f"static const int actc_output_total = {len(ends[1])};",
            "",
        ]
    )


def _table(what: str, rows: list[str]) -> str:
    body = ",\n".join(f"    {row}" for row in rows)
    return f"static const {what}[] = {{\n{body}}};"


def _launch(launch: Launch, first: int) -> str:
    blocks = f"[](unsigned n) -> unsigned {{ return {launch.blocks}; }}"
    if "n" not in launch.blocks:
        blocks = blocks.replace("unsigned n)", "unsigned)")
    count = len(launch.arguments)
    return f'{{"{launch.symbol}", {blocks}, {launch.threads}u, {first}, {count}}}'


def _argument(network: Network, name: str | int) -> str:
    if name == BATCH:
        return "{ACTC_BATCH, 0}"
    if isinstance(name, int):
        return f"{{ACTC_NUMBER, {name}u}}"
    if name in network.constant_at:
        return f"{{ACTC_CONSTANT, {network.constant_at[name]}u}}"
    return _place(network, name)


def _place(network: Network, name: str) -> str:
    kind = "ACTC_BUFFER" if grows(network.buffers[name]) else "ACTC_FIXED"
    return f"{{{kind}, {network.arena.at[name]}u}}"


def _end(network: Network, name: str) -> str:
    return f"{{{_place(network, name)}, {sample_bytes(network.buffers[name])}u}}"


_SIGNATURE = re.compile(
    r'^extern "C" __global__ void (?:__launch_bounds__\(\d+\) )?(\w+)\((.*)\) \{', re.MULTILINE
)
_BARRIERS = ("__syncthreads", "actc_mma", "actc_warp")


def emulated_kernels(source: str) -> str:
    """emulated_kernels.h: how each kernel of kernels.cu is called."""
    found = list(_SIGNATURE.finditer(source))
    ends = [match.start() for match in found[1:]] + [len(source)]
    wrappers, rows = [], []
    for match, end in zip(found, ends, strict=True):
        name, parameters = match[1], match[2].split(", ") if match[2] else []
        types = [parameter.rsplit(" ", 1)[0] for parameter in parameters]
        values = ", ".join(f"*({_pointee(kind)}*)p[{i}]" for i, kind in enumerate(types))
        wrappers.append(f"static void call_{name}(void **p) {{ {name}({values}); }}")
        barriers = any(word in source[match.start() : end] for word in _BARRIERS)
        rows.append(f'{{"{name}", call_{name}, {str(barriers).lower()}, {len(types)}}}')
    table = ",\n".join(f"    {row}" for row in rows)
    return "\n".join([*wrappers, f"static const Kernel kernels[] = {{\n{table}}};", ""])


def _pointee(kind: str) -> str:
    return kind.replace("__restrict__", "").strip()


def emulated_buffers(extents: Sequence[Sequence[Sequence[int] | None]], arena: Arena) -> str:
    """emulated_buffers.h: how large the buffers are that each launch gets.

    Args:
        extents: of each launch, of each of its arguments: bytes per sample and in all; None for
            the batch.
        arena: of the network.
    """
    firsts: list[str] = []
    rows: list[str] = []
    for launch in extents:
        firsts.append(str(len(rows)))
        rows += ["{false, 0, 0}" if e is None else f"{{true, {e[0]}u, {e[1]}u}}" for e in launch]
    return "\n".join(
        [
            "struct Extent { bool is_buffer; size_t sample, fixed; };",
            _table("Extent extents", rows),
            _table("size_t first_extent", firsts),
            f"static const size_t launch_total = {len(firsts)};",
            f"static const size_t actc_sample = {arena.sample}u, actc_fixed = {arena.fixed}u;",
            "",
        ]
    )


def extents_of(network: Network) -> list[list[list[int] | None]]:
    """What `emulated_buffers` takes."""
    return [[_extent(network, name) for name in launch.arguments] for launch in network.launches]


def _extent(network: Network, name: str | int) -> list[int] | None:
    if name == BATCH or isinstance(name, int):
        return None
    if name in network.constant_at:
        return [0, network.constant_size[name]]
    size = sample_bytes(network.buffers[name])
    return [size, 0] if grows(network.buffers[name]) else [0, size]


def host_command(library: str) -> tuple[str, ...]:
    """The command that makes the artefact of host.cpp, the fat binary and the constants."""
    return ("g++", *HOST_FLAGS, "-o", library, "host.cpp", "-ldl")


def emulation_command(library: str) -> tuple[str, ...]:
    """The command that makes the emulation of kernels.cu."""
    return ("g++", *EMULATION_FLAGS, "-o", library, "emulator.cpp")


def checked_commands(library: str) -> tuple[tuple[str, ...], ...]:
    """The commands that make the emulation that looks for races; see checker.cpp."""
    flags = [flag for flag in EMULATION_FLAGS if flag not in ("-shared", "-O2", "-march=native")]
    watched = ("-O1", "-DACTC_CHECKED", "-fsanitize=thread,alignment,bounds", "-c", "emulator.cpp")
    return (
        ("g++", *flags, *watched, "-o", "emulator.o"),
        ("g++", *flags, "-O2", "-c", "checker.cpp", "-o", "checker.o"),
        ("g++", "-shared", "-o", library, "emulator.o", "checker.o"),
    )
