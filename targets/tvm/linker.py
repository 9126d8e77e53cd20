"""Which tools link, compile and emulate programs of an architecture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from actc import tool_results, toolchain
from actc.targets.tvm.host import host_arch

LINK_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Tools:
    """The tools of one architecture; names are Debian's.

    Attributes:
        prefix: of the compilers, as in ``aarch64-linux-gnu-``; "" for this machine's.
        emulator: that runs its programs here; "" where none is needed or known.
        package: that brings the C++ compiler.
        flags: of the C compiler, for this kind of CPU.
    """

    prefix: str
    emulator: str
    package: str
    flags: tuple[str, ...] = ()

    @property
    def cxx(self) -> str:
        """The C++ compiler, which links too."""
        return f"{self.prefix}g++"

    @property
    def cc(self) -> str:
        """The C compiler."""
        return f"{self.prefix}gcc"

    @property
    def how(self) -> str:
        """How to install the compilers."""
        return f"apt install {self.package}" + ("" if self.prefix else ", or conda install gxx")

    def root(self) -> tuple[str, ...]:
        """The emulator's option for the folder of the architecture's system libraries."""
        folder = Path("/usr") / self.prefix.rstrip("-")
        return ("-L", str(folder)) if self.prefix and folder.is_dir() else ()


_NATIVE = Tools("", "", "g++")
_CROSS = {
    "x86_64": Tools("x86_64-linux-gnu-", "qemu-x86_64", "g++-x86-64-linux-gnu"),
    "aarch64": Tools("aarch64-linux-gnu-", "qemu-aarch64", "g++-aarch64-linux-gnu"),
    "arm": Tools("arm-linux-gnueabihf-", "qemu-arm", "g++-arm-linux-gnueabihf"),
    "riscv64": Tools("riscv64-linux-gnu-", "qemu-riscv64", "g++-riscv64-linux-gnu"),
    "thumb": Tools("arm-none-eabi-", "", "gcc-arm-none-eabi"),
}


def tools_of(arch: str) -> Tools:
    """The tools for programs of an architecture of `actc.targets.tvm.host.TRIPLES`."""
    return _NATIVE if arch == host_arch() else _CROSS.get(arch, _NATIVE)


def link_command(objects: tuple[str, ...], library: str, arch: str) -> tuple[str, ...]:
    """The command that links objects; no build id, no symbols: equal inputs, equal bytes."""
    program = tools_of(arch).cxx
    return (program, "-shared", "-fPIC", "-s", "-Wl,--build-id=none", "-o", library, *objects)


def link(objects: list[Path], library: Path, arch: str) -> None:
    """Link objects that lie beside the library.

    Raises:
        MissingTool: there is no compiler for the architecture. ToolFailed: it failed.
    """
    tools = tools_of(arch)
    compiler = toolchain.find(tools.cxx, tools.how)
    _, *arguments = link_command(tuple(o.name for o in objects), library.name, arch)
    toolchain.run([str(compiler), *arguments], timeout=LINK_SECONDS, cwd=library.parent)
    tool_results.require_program(library, tools.cxx)
