"""The target `cuda`: machine code for NVIDIA's GPUs from Apache TVM and nvcc."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import onnx_ir as ir

from actc import tool_results, toolchain
from actc.diagnostics import Diagnostic
from actc.errors import MissingTool
from actc.ir.context import context_of
from actc.targets.base import BuildPlan, Capabilities, Progress, Rung, Target, Tool, quiet
from actc.targets.components import CUDA, Component
from actc.targets.tvm.cuda import runtime
from actc.targets.tvm.cuda.estimates import kernels_text, occupancy, work_of, work_text
from actc.targets.tvm.cuda.half import notes, statement, too_wide
from actc.targets.tvm.cuda.host import TEMPLATES, extents_of, host_command, network_header
from actc.targets.tvm.cuda.lower import examined, kernel_plan
from actc.targets.tvm.cuda.network import Network
from actc.targets.tvm.cuda.tiling import Products
from actc.targets.tvm.cuda.toolkit import (
    NVCC_HELP,
    Resources,
    compile_fatbin,
    find_nvcc,
    locate_nvcc,
    nvcc_command,
    parse_architectures,
    parse_options,
)
from actc.targets.tvm.host import TVM_HELP, import_tvm
from actc.targets.tvm.lower import INT8_RULES
from actc.targets.tvm.plan import Buffer, KernelPlan
from actc.targets.tvm.runtime import LIBRARY, SIGNATURE

MODEL_FILES = {
    "int8": "golden.onnx",
    "float32": "approximated.onnx",
    "float16": "approximated.onnx",
}
_PRECISIONS: dict[Products, tuple[str, ...]] = {
    "auto": ("int8", "float32", "float16"),
    "dp4a": ("int8",),
    "fp16": ("float32",),
}
HALVES = "float16.json"
RESOURCES = "resources.json"
LINK_SECONDS = 120


@dataclass(frozen=True)
class CudaTarget(Target):
    """A shared library that runs a network on NVIDIA's GPUs, through Apache TVM and nvcc.

    Tools: apache-tvm and nvcc (build), g++ (link); NVIDIA's driver to run. Without a GPU the
    kernels are executed on the CPU, thread by thread, and compared with golden so.
    Options, joined by commas: architectures (`cuda:sm_80,sm_90`, which is the default);
    `dp4a`, no tensor cores; `fp16`, products of float32 networks in half precision.
    `--precision float16` also keeps activations in half precision.
    Products: model.so; run.py, an example; kernels.cu; kernels.txt, the list of kernels with
    their registers and shared memory; signature.json; resources.json.

    Attributes:
        architectures: that machine code is generated for, the oldest first.
        products: how large products are computed.
    """

    architectures: tuple[str, ...] = parse_architectures("")
    products: Products = "auto"
    name: ClassVar[str] = "cuda"
    components: ClassVar[tuple[Component, ...]] = CUDA

    @classmethod
    def parse(cls, option: str) -> CudaTarget:
        """The target behind `cuda` or `cuda:sm_80,sm_90`.

        Raises:
            UsageError: CUDA has no such architecture, or options exclude each other.
        """
        architectures, products = parse_options(option)
        return cls(architectures, cast(Products, products))

    @property
    def spec(self) -> str:
        """`cuda:` and the architectures."""
        chosen = () if self.products == "auto" else (self.products,)
        return f"cuda:{','.join((*self.architectures, *chosen))}"

    @property
    def float_tolerance(self) -> float:
        """That of a few roundings to half precision, where products are in it."""
        return 4 * 2.0**-10 if self.products == "fp16" else super().float_tolerance

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        return Capabilities(
            precisions=_PRECISIONS[self.products],
            forms=("table", "pwl"),
            operators=frozenset(INT8_RULES),
            tools=(
                Tool("Apache TVM", "package", "tvm", TVM_HELP),
                Tool("nvcc", "command", "nvcc", NVCC_HELP, _other_nvcc()),
                Tool("C++ compiler", "command", "g++", runtime.COMPILER_HELP),
            ),
            widest=8,
            summary="shared library for NVIDIA's GPUs, through Apache TVM and nvcc",
            products={
                LIBRARY: "the compiled network, complete with its constants",
                "run.py": "example: runs model.so with numpy alone",
                runtime.KERNELS: "the kernels as CUDA C",
                "kernels.txt": "the kernels in execution order, and what they take of a GPU",
                RESOURCES: "registers, shared memory and spills of kernels; bytes of memory",
                SIGNATURE: "names, types and shapes of inputs and outputs",
                HALVES: "with --precision float16: its tolerance, and tensors that stay float32",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be lowered."""
        return examined(model, precision)[1]

    def tolerance(self, directory: Path) -> float:
        """That of float32, or what the roundings of --precision float16 amount to."""
        if not _is_half(directory):
            return self.float_tolerance
        return float(_halves(directory)["tolerance"])

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build.

        Raises:
            ModelError: the model cannot be lowered; all reasons at once.
        """
        wide = frozenset[str]()
        if precision == "float16":
            wide = too_wide(kernel_plan(model, "float32"), context_of(model).ranges)
        kernels = kernel_plan(model, precision, wide)
        signature = _signature(kernels)
        proto = ir.serde.serialize_model(model)
        files = {
            MODEL_FILES[precision]: proto.SerializeToString(deterministic=True),
            "kernels.txt": kernels.text().encode(),
            SIGNATURE: (json.dumps(signature, indent=2) + "\n").encode(),
            "run.py": (TEMPLATES / "run.py.in").read_bytes(),
        }
        if precision == "float16":
            text = json.dumps(statement(kernels, wide, self.float_tolerance), indent=2)
            files[HALVES] = (text + "\n").encode()
        commands = (nvcc_command(self.architectures), host_command(LIBRARY))
        return BuildPlan(self.spec, files, commands)

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the plan's files and model.so.

        Raises:
            MissingTool: TVM, nvcc or the C++ compiler is missing.
            ToolFailed: a compiler failed; the notes hold its log.
        """
        import_tvm()
        find_nvcc()
        compiler = toolchain.find("g++", runtime.COMPILER_HELP)
        from actc.targets.tvm.cuda.source import generate

        directory.mkdir(parents=True, exist_ok=True)
        for name, content in plan.files.items():
            (directory / name).write_bytes(content)
        precision = next(p for p, name in MODEL_FILES.items() if name in plan.files)
        wide = frozenset[str]()
        if HALVES in plan.files:
            precision, wide = "float16", frozenset(json.loads(plan.files[HALVES])["float32"])
        model = ir.load(directory / MODEL_FILES[precision])
        kernels = kernel_plan(model, precision, wide)
        source, network = generate(kernels, self.architectures[0], self.products)
        (directory / runtime.KERNELS).write_text(source, encoding="utf-8")
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / runtime.KERNELS).write_text(source, encoding="utf-8")
            (folder / "network.h").write_text(network_header(network), encoding="utf-8")
            (folder / "constants.bin").write_bytes(network.constants)
            shutil.copyfile(TEMPLATES / "host.cpp", folder / "host.cpp")
            say(f"nvcc: {len(set(network.launches))} kernels for {', '.join(self.architectures)}")
            found = compile_fatbin(folder, self.architectures)
            _, *arguments = host_command(LIBRARY)
            toolchain.run([str(compiler), *arguments], timeout=LINK_SECONDS, cwd=folder)
            tool_results.require_program(folder / LIBRARY, "g++")
            shutil.copyfile(folder / LIBRARY, directory / f"{LIBRARY}.new")
            (directory / f"{LIBRARY}.new").replace(directory / LIBRARY)
        _write_resources(directory, found, network, kernels)

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Execute model.so on one batch: on a GPU, or emulated where there is none.

        Raises:
            UsageError: no model.so, or inputs of another name, type or shape.
            ToolFailed: the GPU, or its driver, refuses.
        """
        return self.load(directory)(feeds)

    def load(self, directory: Path) -> runtime.Runner:
        """The network as a function.

        Raises:
            UsageError: there is no model.so. ToolFailed: the GPU, or its driver, refuses.
        """
        return runtime.load(directory, emulate=runtime.gpu_count() == 0)

    def footprint(self, directory: Path) -> dict[str, int] | None:
        """Bytes of model.so, of its constants, and of the arena for one sample."""
        found = _resources(directory)
        library = (directory / LIBRARY).stat().st_size
        return {"library": library, **{k: found[k] for k in ("constants", "workspace")}}

    def verify(
        self,
        directory: Path,
        feeds: Mapping[str, np.ndarray],
        golden: Mapping[str, np.ndarray],
        say: Progress = quiet,
    ) -> list[Rung]:
        """Say how the comparison with golden, which has passed, was made."""
        return _rungs(len(next(iter(feeds.values()))))

    def recheck(self, directory: Path) -> list[Rung]:
        """What `actc check` cannot compare here."""
        return [rung for rung in _rungs(0) if rung.result == "not run"]

    def hardware(self, directory: Path) -> dict[str, Any] | None:
        """What the kernels take of a GPU."""
        rows = _resources(directory)["kernels"]
        return {
            "device": f"NVIDIA GPU ({', '.join(self.architectures)})",
            "kernels": rows,
            "notes": [
                *[_summary(rows, name) for name in self.architectures],
                *(notes(_halves(directory)) if _is_half(directory) else ()),
                _where(),
            ],
        }


def _other_nvcc() -> tuple[str, ...]:
    """An nvcc that is not on PATH."""
    try:
        found = locate_nvcc()
    except MissingTool:  # what ACTC_NVCC names is no program; whoever compiles is told so
        return ()
    return () if found is None else (str(found),)


def _is_half(directory: Path) -> bool:
    return (directory / HALVES).is_file()


def _halves(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / HALVES).read_text(encoding="utf-8"))
    return found


def _where() -> str:
    if runtime.gpu_count():
        return "the kernels ran on this machine's GPU"
    return "no GPU here: model.so ran with its kernels executed on the CPU, thread by thread"


def _rungs(samples: int) -> list[Rung]:
    if runtime.gpu_count():
        return [Rung("kernels on the GPU", "equal", "model.so on this machine's GPU", samples)]
    return [
        Rung(
            "CUDA kernels, emulated on the CPU",
            "equal",
            "kernels.cu compiled by g++ and executed thread by thread, launched by model.so",
            samples,
        ),
        Rung(
            "machine code on a GPU",
            "not run",
            "no NVIDIA GPU here: kernels.cu was executed on the CPU",
        ),
    ]


def _signature(kernels: KernelPlan) -> dict[str, list[dict[str, Any]]]:
    """Inputs and outputs in the order in which the library takes and gives them."""
    outputs = {name: kernels.buffers[source] for name, source in kernels.outputs.items()}
    return {"inputs": _entries(kernels.inputs), "outputs": _entries(outputs)}


def _entries(buffers: Mapping[str, Buffer]) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": b.dtype, "shape": list(b.extents)} for name, b in buffers.items()
    ]


def _resources(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / RESOURCES).read_text(encoding="utf-8"))
    return found


def _write_resources(
    directory: Path, found: list[Resources], network: Network, plan: KernelPlan
) -> None:
    threads = {launch.symbol: launch.threads for launch in network.launches}
    rows: list[dict[str, Any]] = [
        {
            "kernel": r.kernel,
            "architecture": r.architecture,
            "registers": r.registers,
            "shared": r.shared,
            "spilled": r.spilled,
            "stack": r.stack,
            "occupancy": occupancy(r.registers, r.shared, threads[r.kernel], r.architecture),
        }
        for r in found
    ]
    document: dict[str, Any] = {
        "constants": len(network.constants),
        "workspace": network.arena.fixed + network.arena.sample,
        "kernels": rows,
        "arena": [network.arena.fixed, network.arena.sample],
        "launches": extents_of(network),
    }
    document["work"] = [work_of(call, plan) for call in plan.calls]
    (directory / RESOURCES).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    text = f"{plan.text()}\n{work_text(document['work'])}\n{kernels_text(rows)}"
    (directory / "kernels.txt").write_text(text, encoding="utf-8")


def _summary(rows: list[dict[str, Any]], architecture: str) -> str:
    own = [row for row in rows if row["architecture"] == architecture]
    kinds = Counter(row["spilled"] > 0 for row in own)
    most = max((row["registers"] for row in own), default=0)
    shared = max((row["shared"] for row in own), default=0)
    least = min((row["occupancy"] for row in own if row["occupancy"] is not None), default=None)
    room = "" if least is None else f"; at least {least:.0%} of an SM's warps find room"
    return (
        f"{architecture}: {len(own)} kernels, at most {most} registers a thread and {shared} bytes "
        f"of shared memory; {kinds[True]} spill registers{room}"
    )
