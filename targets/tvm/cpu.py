"""The target `cpu`: machine code from Apache TVM and LLVM."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx_ir as ir

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.targets.base import BuildPlan, Capabilities, Progress, Target, Tool, quiet
from actc.targets.tvm import runtime
from actc.targets.tvm.host import TVM_HELP, Cpu, host_cpu, import_tvm, named_cpu
from actc.targets.tvm.lower import INT8_RULES, examine, kernel_plan
from actc.targets.tvm.plan import Buffer, KernelPlan

MODEL_FILES = {"int8": "golden.onnx", "float32": "approximated.onnx"}
LINK_SECONDS = 120
COMPILER_HELP = "apt install g++, or conda install gxx"
_TEMPLATE = Path(__file__).parent / "templates" / "run.py.in"


def link_command(objects: tuple[str, ...], library: str) -> tuple[str, ...]:
    """The command that links objects; no build id, no symbols: equal inputs, equal bytes."""
    return ("g++", "-shared", "-fPIC", "-s", "-Wl,--build-id=none", "-o", library, *objects)


@dataclass(frozen=True)
class CpuTarget(Target):
    """A shared library for a CPU, through Apache TVM and LLVM.

    Tools: apache-tvm (build and run), g++ (link).
    Options: the CPU's LLVM name (`cpu:znver4`); none means this machine.
    Products: model.so; run.py, an example that runs it without importing TVM;
    kernels.txt, the list of kernels; signature.json, names and shapes of inputs and outputs.

    Attributes:
        mcpu: LLVM's name of the CPU; "" for this machine.
    """

    mcpu: str = ""
    name: ClassVar[str] = "cpu"

    @classmethod
    def parse(cls, option: str) -> CpuTarget:
        """The target behind `cpu` or `cpu:OPTION`.

        Raises:
            UsageError: TVM is installed and its LLVM has no such CPU.
        """
        if option and _tvm_installed():
            named_cpu(option)
        return cls(option)

    @property
    def spec(self) -> str:
        """`cpu:` and LLVM's name; plain `cpu` while TVM is not there to tell this machine's."""
        if self.mcpu:
            return f"cpu:{self.mcpu}"
        return f"cpu:{self.cpu().mcpu}" if _tvm_installed() else "cpu"

    def cpu(self) -> Cpu:
        """The CPU that code is generated for.

        Raises:
            MissingTool: TVM is not installed.
        """
        return _resolve(self.mcpu)

    def capabilities(self) -> Capabilities:
        """What this target takes."""
        return Capabilities(
            precisions=("int8", "float32"),
            forms=("table", "pwl"),
            operators=frozenset(INT8_RULES),
            tools=(
                Tool("Apache TVM", "package", "tvm", TVM_HELP),
                Tool("C++ compiler", "command", "g++", COMPILER_HELP),
            ),
            widest=8,
            summary="shared library for a CPU, through Apache TVM and LLVM",
            products={
                runtime.LIBRARY: "the compiled model, complete with its constants",
                "run.py": "example: runs model.so without importing TVM",
                "kernels.txt": "the kernels in execution order",
                runtime.SIGNATURE: "names, types and shapes of inputs and outputs",
            },
        )

    def validate(self, model: ir.Model, precision: str) -> list[Diagnostic]:
        """All reasons why `model` cannot be lowered."""
        return examine(model, precision)[1]

    def plan(self, model: ir.Model, precision: str) -> BuildPlan:
        """Plan the build.

        Raises:
            ModelError: the model cannot be lowered; all reasons at once.
        """
        kernels = kernel_plan(model, precision)
        signature = _signature(kernels)
        proto = ir.serde.serialize_model(model)
        files = {
            MODEL_FILES[precision]: proto.SerializeToString(deterministic=True),
            "kernels.txt": kernels.text().encode(),
            runtime.SIGNATURE: (json.dumps(signature, indent=2) + "\n").encode(),
            "run.py": _example(signature).encode(),
        }
        return BuildPlan(self.spec, files, (link_command(("lib0.o", "devc.o"), runtime.LIBRARY),))

    def build(self, plan: BuildPlan, directory: Path, say: Progress = quiet) -> None:
        """Write the plan's files and model.so.

        Raises:
            MissingTool: TVM or the C++ compiler is missing.
            ToolFailed: linking failed; the notes hold the linker's log.
        """
        import_tvm()
        compiler = toolchain.find("g++", COMPILER_HELP)
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in plan.files.items():
            (directory / name).write_bytes(content)
        precision = next(p for p, name in MODEL_FILES.items() if name in plan.files)
        model = ir.load(directory / MODEL_FILES[precision])
        self._compile(kernel_plan(model, precision), compiler, directory)

    def _compile(self, kernels: KernelPlan, compiler: Path, directory: Path) -> None:
        from actc.targets.tvm import codegen

        def link(objects: list[Path], library: Path) -> None:
            _, *arguments = link_command(tuple(o.name for o in objects), library.name)
            toolchain.run([str(compiler), *arguments], timeout=LINK_SECONDS, cwd=library.parent)

        executable = codegen.compile_plan(kernels, self.cpu())
        with tempfile.TemporaryDirectory(dir=directory) as folder:
            library = Path(folder) / runtime.LIBRARY
            codegen.export(executable, library, link)
            library.replace(directory / runtime.LIBRARY)

    def run(self, directory: Path, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Execute model.so on one batch.

        Raises:
            UsageError: no model.so, or inputs of another name, type or shape.
            MissingTool: TVM's runtime is missing.
        """
        return self.load(directory)(feeds)

    def load(self, directory: Path) -> runtime.Runner:
        """The compiled model as a function.

        Raises:
            UsageError: there is no compiled model. MissingTool: TVM's runtime is missing.
        """
        return runtime.load(directory)


@lru_cache(maxsize=8)
def _resolve(mcpu: str) -> Cpu:
    return named_cpu(mcpu) if mcpu else host_cpu()


def _tvm_installed() -> bool:
    return importlib.util.find_spec("tvm") is not None


def _signature(kernels: KernelPlan) -> dict[str, list[dict[str, Any]]]:
    """Inputs and outputs in the order in which the library takes and gives them."""
    outputs = {name: kernels.buffers[source] for name, source in kernels.outputs.items()}
    return {"inputs": _entries(kernels.inputs), "outputs": _entries(outputs)}


def _entries(buffers: Mapping[str, Buffer]) -> list[dict[str, Any]]:
    return [
        {"name": name, "dtype": b.dtype, "shape": [b.batch, *b.shape]}
        for name, b in buffers.items()
    ]


def _example(signature: Mapping[str, list[dict[str, Any]]]) -> str:
    names = tuple([str(item["name"]) for item in signature[part]] for part in ("inputs", "outputs"))
    return _TEMPLATE.read_text(encoding="utf-8").replace("@NAMES@", repr(names))
