"""Witnesses of fixed-point forms: inputs that no single piece of a form can serve.

Each search below repeats the greedy or dyadic search of a fitter and writes down why a
longer piece was impossible. Whether one piece serves some inputs is inherited by every
part of them, so few inputs suffice:

- one level serves two inputs unless their gates are disjoint;
- one line ``S x + C`` of integer S and C serves inputs if and only if, for every pair
  i < j of them, S (x_j - x_i) lies between lower_j - upper_i and upper_j - lower_i
  (some C remains if no lower bound exceeds an upper one). Two pairs therefore leave
  an interval of slopes as small as all of them do, and without a member of the slope
  set in it no line of the set serves their two to four inputs.

How many pieces follow from disjoint witnesses is argued where they are counted:
:func:`line_witnesses`, :func:`tree_witnesses`.
"""

from __future__ import annotations

from typing import NamedTuple

from actc.approx.fixed_point import Codes
from actc.approx.signed_digits import IntegerLines
from actc.approx.slope_sets import Slopes

Witness = tuple[int, ...]
"""Two to four indices of inputs, increasing."""


def step_witnesses(low: Codes, high: Codes, most: int) -> list[Witness]:
    """Pairs of inputs with disjoint gates, one after the other.

    A pair (i, j) needs a step in (i, j]. The pairs may share an end, so each needs one
    of its own. Longest runs first, as in
    :func:`actc.approx.thresholds.fit_thresholds`, yield the most pairs.

    Args:
        low, high: int64 [n], the gates.
        most: stop after so many.
    """
    found: list[Witness] = []
    lows, highs = low.tolist(), high.tolist()
    top = bottom = 0  # where the run's largest low and least high are
    for index in range(1, len(lows)):
        if len(found) == most:
            break
        if lows[index] > highs[bottom]:
            found.append((bottom, index))
            top = bottom = index
        elif highs[index] < lows[top]:
            found.append((top, index))
            top = bottom = index
        else:
            top = index if lows[index] > lows[top] else top
            bottom = index if highs[index] < highs[bottom] else bottom
    return found


def line_witnesses(lines: IntegerLines, slopes: Slopes, most: int) -> list[Witness]:
    """Inputs that no one line of the set serves, window after window.

    The inputs of one witness need a breakpoint in (first, last]. These intervals are
    disjoint, so a form has more segments than there are witnesses. The longest windows,
    one after the other, are the segments of the least form, and each but the last is
    refuted together with the next input: one witness for each of its breakpoints.

    Args:
        most: stop after so many.
    """
    found: list[Witness] = []
    start, length = 0, len(lines)
    while len(found) < most:
        end, _ = lines.longest(start, slopes, length)
        if end == len(lines):
            break
        witness = refute(lines, start, end + 1, slopes)
        assert witness is not None  # the window [start, end) is the longest
        found.append(witness)
        start, length = end, end - start
    return found


def tree_witnesses(lines: IntegerLines, slopes: Slopes, most: int) -> list[Witness]:
    """Inputs that no one leaf serves, for the lowest nodes that must be split.

    A leaf of any tree lies within a dyadic interval or contains it. So the smallest
    dyadic interval that holds a witness is an inner node of every tree that serves the
    gates, and so are all nodes above it. A binary tree has one leaf more than inner
    nodes. In the least tree every inner node has such a node below it, or is one
    whose two halves are served: the witnesses of the latter prove all of its leaves.

    Args:
        most: stop after finding so many inner nodes.
    """
    found: list[Witness] = []
    inner = 0
    # (start, end, witness of the node above); a node is taken up after its halves
    pending: list[_Node] = [_Node(0, len(lines))]
    while pending:
        node = pending.pop()
        if node.witness is not None:  # its halves are done
            if len(found) == node.before:
                found.append(node.witness)
            continue
        if inner == most or node.end - node.start < 2:
            continue
        witness = refute(lines, node.start, node.end, slopes)
        if witness is not None:
            inner += 1
            middle = (node.start + node.end) // 2
            pending += [
                _Node(node.start, node.end, witness, len(found)),
                _Node(middle, node.end),
                _Node(node.start, middle),
            ]
    return found


class _Node(NamedTuple):
    """A dyadic interval; with a witness, once it must be split.

    `before` is the number of witnesses found before its halves were looked at.
    """

    start: int
    end: int
    witness: Witness | None = None
    before: int = 0


def refute(lines: IntegerLines, start: int, end: int, slopes: Slopes) -> Witness | None:
    """Inputs of [start, end) that no line of the set serves; None if one serves them all.

    Kelley's cutting planes as in :meth:`IntegerLines.solve`, which remembers no pairs:
    a slope that fails has a pair of inputs that rules it out, with all slopes on one
    side of it. The last pair on either side says all.

    Args:
        start, end: at least two inputs.
    """
    x, lower, upper = (array[start:end] for array in (lines.x, lines.lower, lines.upper))
    left = right = (0, 1)
    least = int(lower[1]) - int(upper[0])
    largest = int(upper[1]) - int(lower[0])
    while True:
        slope = slopes.between(least, largest)
        if slope is None:
            return tuple(sorted({start + index for index in (*left, *right)}))
        product = slope * x
        above, below = lower - product, upper - product
        top, bottom = int(above.argmax()), int(below.argmin())
        if above[top] <= below[bottom]:
            return None
        run, rise = top - bottom, int(lower[top]) - int(upper[bottom])
        if run > 0:
            least, left = -(-rise // run), (bottom, top)
        else:
            largest, right = rise // run, (top, bottom)
