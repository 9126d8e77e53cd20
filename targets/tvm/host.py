"""Which CPU code is generated for: LLVM's name, its features, its triple; and this machine's."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from actc.diagnostics import Diagnostic
from actc.errors import UsageError
from actc.toolchain import require_package

TVM_HELP = "pip install 'actc[tvm]'"

TRIPLES = {
    "x86_64": "x86_64-unknown-linux-gnu",
    "aarch64": "aarch64-unknown-linux-gnu",
    "arm": "armv7a-unknown-linux-gnueabihf",
    "thumb": "thumb-none-eabi",
    "riscv64": "riscv64-unknown-linux-gnu",
}
"""Architecture -> LLVM's triple; a name is looked for in this order."""
BARE = "thumb"
"""The architecture whose CPUs run programs without an operating system."""
_MICROCONTROLLERS = ("cortex-m", "cortex-r", "sc000", "sc300", "star-mc")
"""How LLVM's names of Arm CPUs without Linux begin."""
_ALIASES = {"apple-m1": "apple-a14", "apple-m2": "apple-a15", "apple-m3": "apple-a16"}
"""Names that LLVM takes but does not list, and the listed core that is the same."""
_ABI = {"riscv64": "lp64d"}
"""Of the compilers that Linux distributions have, where LLVM's own default is another."""
_NEVER_CHOSEN = frozenset(
    (
        "clflushopt",
        "cldemote",
        "clwb",
        "clzero",
        "cmpccxadd",
        "enqcmd",
        "fsgsbase",
        "hreset",
        "invpcid",
        "kl",
        "lwp",
        "movdir64b",
        "movdiri",
        "mwaitx",
        "pconfig",
        "pku",
        "prefetchi",
        "prfchw",
        "ptwrite",
        "raoint",
        "rdpid",
        "rdpru",
        "rdrnd",
        "rdseed",
        "rtm",
        "serialize",
        "sgx",
        "shstk",
        "tbm",
        "tsxldtrk",
        "uintr",
        "usermsr",
        "waitpkg",
        "wbnoinvd",
        "widekl",
        "xsave",
        "xsavec",
        "xsaveopt",
        "xsaves",
    )
)
"""Features that LLVM uses only where a program asks for them: systems' and random numbers."""


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

    @property
    def arch(self) -> str:
        """The architecture: a key of `TRIPLES`, or the triple's first part."""
        first = self.triple.split("-")[0]
        return next((name for name in TRIPLES if TRIPLES[name].split("-")[0] == first), first)

    @property
    def bare(self) -> bool:
        """Whether it runs programs without an operating system, such as a Cortex-M."""
        return self.arch == BARE

    def target(self) -> dict[str, Any]:
        """TVM's description of the target."""
        found: dict[str, Any] = {"kind": "llvm", "mcpu": self.mcpu, "mtriple": self.triple}
        if self.exact:
            found["mattr"] = list(self.exact)
        if self.bare:
            found["vector-width"] = 128  # what TVM takes where it knows none, with a warning
        if self.arch in _ABI:
            found["mabi"] = _ABI[self.arch]
        return found


def import_tvm() -> Any:
    """Import TVM.

    Raises:
        MissingTool: it is not installed; says how to install it.
    """
    return require_package("tvm", TVM_HELP)


def host_arch() -> str:
    """This machine's architecture, as `TRIPLES` has it."""
    machine = platform.machine()
    return {"AMD64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def host_cpu() -> Cpu:
    """This machine's CPU, with the features that it really has.

    LLVM may name a CPU after an older model; what the machine has beyond that name,
    or lacks, is stated feature by feature.
    """
    tvm = import_tvm()
    name = str(_global(tvm, "tvm.codegen.llvm.GetHostCPUName")())
    triple = str(_global(tvm, "tvm.codegen.llvm.GetDefaultTargetTriple")())
    stated = _features(tvm, name, triple)
    real = _real(tvm)
    has = {feature for feature, there in real.items() if there}
    lacks = set(real) - has
    more = sorted(f"+{f}" for f in has - stated) + sorted(f"-{f}" for f in lacks & stated)
    return Cpu(name, frozenset((stated | has) - lacks), triple, tuple(more))


def unasked(features: Iterable[str]) -> list[str]:
    """Features that LLVM may use unasked, sorted."""
    return sorted(set(features) - _NEVER_CHOSEN)


def lacking(features: Iterable[str]) -> list[str]:
    """Which of a CPU's features code may use that this machine does not have.

    Only what LLVM looks for on a machine counts: its features that say how to tune code are
    on none.
    """
    real = _real(import_tvm())
    return [f for f in unasked(features) if real.get(f) is False]


def named_cpu(name: str) -> Cpu:
    """The CPU behind `cpu:NAME`: LLVM's name of it, with ``ARCHITECTURE:`` in front or not.

    Without an architecture, it is this machine's if that has such a CPU, otherwise the first
    of `TRIPLES`; Cortex-M and Cortex-R are thumb.

    Raises:
        UsageError: LLVM has no such CPU, or the architecture is another.
    """
    tvm = import_tvm()
    given, _, mcpu = name.rpartition(":")
    if given and given not in TRIPLES:
        raise _unknown(given, "architecture", list(TRIPLES))
    host = host_arch()
    order = [given] if given else [host, *(arch for arch in TRIPLES if arch != host)]
    known = {arch: _names(tvm, arch) for arch in order if arch in TRIPLES}
    for arch, names in known.items():
        if mcpu in names:
            triple = _triple(tvm, arch)
            return Cpu(mcpu, frozenset(_features(tvm, mcpu, triple)), triple)
    every = sorted({cpu for names in known.values() for cpu in names})
    raise _unknown(mcpu, f"CPU for {given}" if given else "CPU", every)


def _unknown(name: str, what: str, known: list[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    return UsageError(
        Diagnostic(
            "ACT0405",
            f"LLVM knows no {what} called '{name}'",
            help=(f"did you mean {', '.join(near)}? " if near else "")
            + "`cpu` alone means this machine; an architecture may stand in front, as in "
            "cpu:aarch64:cortex-a76",
        )
    )


def _names(tvm: Any, arch: str) -> list[str]:
    """The CPUs of an architecture; LLVM has one list for those with Linux and those without."""
    probe = tvm.target.Target({"kind": "llvm", "mtriple": _triple(tvm, arch)})
    listed = [str(n) for n in _global(tvm, "target.llvm_get_cpu_archlist")(probe)]
    listed += [alias for alias, core in _ALIASES.items() if core in listed]
    if arch in ("arm", "thumb"):
        listed = [n for n in listed if n.startswith(_MICROCONTROLLERS) == (arch == "thumb")]
    return listed


def _triple(tvm: Any, arch: str) -> str:
    """This machine's own triple for its architecture."""
    if arch == host_arch():
        return str(_global(tvm, "tvm.codegen.llvm.GetDefaultTargetTriple")())
    return TRIPLES[arch]


def _real(tvm: Any) -> dict[str, bool]:
    """What LLVM found this machine to have, feature by feature."""
    found = _global(tvm, "tvm.codegen.llvm.GetHostCPUFeatures")()
    return {str(feature): bool(there) for feature, there in found.items()}


def _features(tvm: Any, mcpu: str, triple: str) -> set[str]:
    target = tvm.target.Target({"kind": "llvm", "mcpu": mcpu, "mtriple": triple})
    return {str(name) for name in _global(tvm, "target.llvm_get_cpu_features")(target)}


def _global(tvm: Any, name: str) -> Any:
    return tvm.get_global_func(name)
