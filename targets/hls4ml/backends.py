"""What is different between the backends of hls4ml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_XILINX_INCLUDES = ("firmware/ap_types",)
_CATAPULT_INCLUDES = (
    "firmware/ac_types/include", "firmware/ac_math/include", "firmware/ac_simutils/include",
    "firmware/nnet_utils",
)  # fmt: skip
_PARALLEL = {"parallel": "arrays", "stream": "streams"}


@dataclass(frozen=True, slots=True)
class Backend:
    """A backend of hls4ml.

    Attributes:
        name: hls4ml's.
        names: folder of the library with the names of its tools.
        includes: folders of headers, in the project.
        calls: "parallel" or "stream" -> how the bench calls the network: `templates/call_...`.
        channel: class of its streams.
        sources: files of the project that g++ compiles, "@NAME@" for the network's name.
        fixed: whether hls4ml takes only some divisors of the products as reuse factors.
        own: whether convolutions of arrays are actc's: hls4ml's do not compile with integers.
        pipes: whether streams are SYCL's pipes; then its C simulation is in one file, and
            compiled with the project's `emulation` of SYCL.
        exact: bits of a constant that its C simulation reads without rounding, at most; 0: all.
    """

    name: str
    names: str
    includes: tuple[str, ...]
    calls: Mapping[str, str]
    channel: str
    sources: tuple[str, ...] = ("firmware/@NAME@.cpp",)
    fixed: bool = False
    own: bool = False
    pipes: bool = False
    exact: int = 0


BACKENDS: Mapping[str, Backend] = MappingProxyType(
    {
        backend.name: backend
        for backend in (
            Backend("Vitis", "xilinx", _XILINX_INCLUDES, _PARALLEL, "hls::stream"),
            Backend("Vivado", "xilinx", _XILINX_INCLUDES, _PARALLEL, "hls::stream"),
            Backend(
                "Quartus", "quartus", ("firmware/ac_types",),
                {"parallel": "structures", "stream": "streams"}, "stream", fixed=True,
            ),
            Backend(
                "oneAPI", "oneapi", (".", "emulation", "emulation/ac_types"),
                {"parallel": "pipes", "stream": "pipes"}, "", (), fixed=True, own=True, pipes=True,
            ),
            Backend(
                "Catapult", "catapult", _CATAPULT_INCLUDES, _PARALLEL, "ac_channel",
                # the arrays of constants are in the bridge, which reads them as doubles
                ("firmware/@NAME@.cpp", "@NAME@_bridge.cpp"), own=True, exact=53,
            ),
        )
    }
)  # fmt: skip
"""hls4ml's name -> backend."""


_FILLED = 2048
"""Products of a layer; above, hls4ml fills the rows of its weights up."""


def reuse_factor(
    backend: Backend, asked: int, taken: int, made: int, *, fixed: bool = False
) -> int:
    """The reuse factor of a layer of products: what was asked for, or the next below it.

    Args:
        asked: at least 1.
        taken, made: inputs and outputs of the matrix.
        fixed: whether only some are taken in any case, as of the strategy "resource".
    """
    most = min(asked, taken * made)
    if not (backend.fixed or fixed):
        return most
    # hls4ml fills rows up to powers of two there, and its arrays for pipes are too short for that
    powers = backend.pipes and taken * made > _FILLED
    return next(
        factor
        for factor in range(most, 0, -1)
        if _divides(factor, taken, made) and not (powers and factor & (factor - 1))
    )


def _divides(factor: int, taken: int, made: int) -> bool:
    """Whether `factor` products at a time fill rows, or end with them."""
    if factor <= taken:
        return taken % factor == 0
    return factor % taken == 0 and made % (factor // taken) == 0
