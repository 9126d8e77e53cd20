"""What a backend of hls4ml cannot build of a network."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from actc.diagnostics import Diagnostic, Place
from actc.targets.hls4ml.backends import BACKENDS, Backend
from actc.targets.hls4ml.layers import HlsLayer, HlsNetwork
from actc.targets.hls4ml.options import Options

LARGEST = 1 << 12
"""Elements of an array that hls4ml lets Vivado keep in registers: `maximum_size` of a project."""


def limits_of(network: HlsNetwork, options: Options) -> list[Diagnostic]:
    """All layers that the backend cannot build as asked."""
    backend = BACKENDS[options.backend]
    return [
        *_arrays(network, options),
        *(
            Diagnostic(
                "ACT0440",
                f"the backend {backend.name} cannot build '{layer.scope or layer.name}': {reason}",
                place=Place(node=layer.scope or layer.name),
                help=help,
            )
            for layer in network.layers
            for reason, help in (*_constants(layer, backend), *_reuse(layer, options))
        ),
    ]


def _arrays(network: HlsNetwork, options: Options) -> Iterator[Diagnostic]:
    """Tensors that are too large to be worked on as a whole."""
    if options.io != "parallel":
        return
    sizes = {"the network's input": prod(network.shape)}
    sizes |= {f"'{layer.scope or layer.name}'": prod(layer.shape) for layer in network.layers}
    large = [name for name, size in sizes.items() if size > LARGEST]
    if large:
        most = max(large, key=lambda name: sizes[name])
        others = f", and {len(large) - 1} others are larger, too" if len(large) > 1 else ""
        yield Diagnostic(
            "ACT0440",
            f"io=parallel keeps whole tensors in registers, of at most {LARGEST} elements: "
            f"{most} has {sizes[most]}{others}",
            place=Place(node=most.strip("'")),
            help="use io=stream, which works on one position after the other",
        )


def _constants(layer: HlsLayer, backend: Backend) -> list[tuple[str, str]]:
    """Constants that its C simulation would round."""
    if not backend.exact:
        return []
    arrays = {n: v for n, v in layer.attributes.items() if isinstance(v, np.ndarray)}
    most = 1 << backend.exact
    return [
        (
            f"its {name} have more than {backend.exact} bits, which the C simulation rounds",
            "take another backend, such as vitis",
        )
        for name, array in arrays.items()
        if array.size and max(int(array.max()), -int(array.min())) > most
    ]


def _reuse(layer: HlsLayer, options: Options) -> list[tuple[str, str]]:
    """Products that cannot share multipliers."""
    if layer.op != "ActcArrayConv2D" or options.reuse == 1:
        return []
    return [
        ("convolutions of whole tensors share no multipliers there", "use reuse=1 or io=stream")
    ]
