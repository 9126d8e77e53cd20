"""Which CPU code is generated for: LLVM's name and features."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.toolchain import require_package

TVM_HELP = "pip install 'actc[tvm]'"


@dataclass(frozen=True)
class Cpu:
    """A CPU as LLVM knows it.

    Attributes:
        mcpu: LLVM's name.
        features: names of what it has, e.g. "avx512vnni".
        triple: LLVM's target triple.
        exact: features to state on top of the name, "+a,-b".
    """

    mcpu: str
    features: frozenset[str]
    triple: str
    exact: tuple[str, ...] = ()

    def target(self) -> dict[str, Any]:
        """TVM's description of the target."""
        found: dict[str, Any] = {"kind": "llvm", "mcpu": self.mcpu, "mtriple": self.triple}
        if self.exact:
            found["mattr"] = list(self.exact)
        return found


def import_tvm() -> Any:
    """Import TVM.

    Raises:
        MissingTool: it is not installed; says how to install it.
    """
    return require_package("tvm", TVM_HELP)


def host_cpu() -> Cpu:
    """This machine's CPU, with the features that it really has.

    LLVM may name a CPU after an older model; what the machine has beyond that name,
    or lacks, is stated feature by feature.
    """
    tvm = import_tvm()
    name = str(_global(tvm, "tvm.codegen.llvm.GetHostCPUName")())
    triple = str(_global(tvm, "tvm.codegen.llvm.GetDefaultTargetTriple")())
    stated = _features(tvm, name, triple)
    real = _global(tvm, "tvm.codegen.llvm.GetHostCPUFeatures")()
    has = {str(k) for k, v in real.items() if bool(v)}
    lacks = {str(k) for k, v in real.items() if not bool(v)}
    more = sorted(f"+{f}" for f in has - stated) + sorted(f"-{f}" for f in lacks & stated)
    return Cpu(name, frozenset((stated | has) - lacks), triple, tuple(more))


def named_cpu(mcpu: str) -> Cpu:
    """The CPU that LLVM calls `mcpu`, of this machine's architecture.

    Raises:
        UsageError: LLVM has no such CPU.
    """
    tvm = import_tvm()
    triple = str(_global(tvm, "tvm.codegen.llvm.GetDefaultTargetTriple")())
    probe = tvm.target.Target({"kind": "llvm", "mtriple": triple})
    known = [str(n) for n in _global(tvm, "target.llvm_get_cpu_archlist")(probe)]
    if mcpu not in known:
        near = difflib.get_close_matches(mcpu, known, n=3, cutoff=0.5)
        raise UsageError(
            Diagnostic(
                "ACT0405",
                f"LLVM knows no CPU called '{mcpu}' for {triple}",
                help=(f"did you mean {', '.join(near)}? " if near else "")
                + "`cpu` alone means this machine",
            )
        )
    return Cpu(mcpu, frozenset(_features(tvm, mcpu, triple)), triple)


def _features(tvm: Any, mcpu: str, triple: str) -> set[str]:
    target = tvm.target.Target({"kind": "llvm", "mcpu": mcpu, "mtriple": triple})
    return {str(name) for name in _global(tvm, "target.llvm_get_cpu_features")(target)}


def _global(tvm: Any, name: str) -> Any:
    return tvm.get_global_func(name)
