"""A vector that joins a map: the same element of each channel at all positions.

That is the maximum of a window in which all but one element is padding, which never wins:
first along the rows, then along the columns of the map.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from actc.targets.fpga.folded.lower.tracked import Lowering, Tracked
from actc.targets.fpga.folded.program import MaximumStage, Stream, Window
from actc.targets.fpga.network.builder import Unsupported
from actc.targets.fpga.network.lower import scope_of


def repeated(lowering: Lowering, node: ir.Node, x: Tracked, other: Tracked) -> Tracked:
    """`x` at all positions of another tensor.

    Args:
        node: which joins both.

    Raises:
        Unsupported: `x` is no vector with one element for each channel of the other.
    """
    rows, columns, channels = other.draft.output.shape
    wanted = np.broadcast_to(x.index, other.shape)
    if x.size != channels or not np.array_equal(wanted, other.index % channels):
        raise Unsupported(
            f"it joins samples of {x.shape} and {other.shape}, and one is repeated along the "
            "channels of the other",
        )
    stream = Stream(1, 1, channels, x.range)
    found = Tracked(x.draft, np.arange(channels), x.path)
    for kernel in ((rows, 1), (1, columns)):
        if kernel == (1, 1):
            continue
        beside = (kernel[0] - 1, kernel[1] - 1)
        window = Window(kernel, before=beside, after=beside)
        output = Stream(*window.positions(stream), channels, stream.range)
        name = lowering.name(f"{scope_of(node)}/repeated")
        stage = MaximumStage(name, (), (), stream, output, window)
        made = lowering.draft(stage, node, [found], [stream.range] * channels)
        made.nodes.clear()  # the node is what follows
        found, stream = Tracked(made, np.arange(output.size)), output
    return Tracked(found.draft, other.index, found.path)
