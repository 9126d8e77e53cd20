"""Fewest links of a continuous piecewise-linear path within a given error.

Greedy on windows (min-link paths: Imai and Iri 1988, Hakimi and Schmeichel 1991).
Let a link be blocked at sample i from above: every line that serves the window so far
passes below sample i's gate ``[y_i - eps, y_i + eps]``. The highest such line l at
x_i is the steepest one; it touches an upper gate end at a sample b. Every path with
as many links crosses l on [x_b, x_i] and lies below l before, so the next link must
keep the upper gates from b on and the lower gates from i on, and nothing else; any
line that does crosses l there. Blocked from below is the mirror image.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from actc.approx.greedy import longest_prefix
from actc.approx.strip import Cut, Samples, Strip, narrowest_strip

_MAX_STEPS = 100


@dataclass(frozen=True)
class Path:
    """A continuous path.

    Attributes:
        lines: (slope, intercept) of each link.
        knots: x where one link meets the next, increasing; one fewer than lines.
        starts: sample at which each link's search began.
        last: the strip of the last link, which takes all the rest.
    """

    lines: tuple[tuple[float, float], ...]
    knots: tuple[float, ...]
    starts: tuple[int, ...]
    last: Strip

    def lengths(self, count: int) -> list[int]:
        """Number of samples that each link's search covered, of `count` in total."""
        ends = (*self.starts[1:], count)
        return [end - start for start, end in zip(self.starts, ends, strict=True)]


def fewest_links(
    samples: Samples, error: float, limit: int, guesses: list[int] | None = None
) -> Path:
    """A continuous path within `error` of all samples, of fewest links.

    At most `limit` links: the last of these takes all the rest, and only if its strip
    is within `error` is the result such a path.

    Args:
        guesses: expected length of each link in samples, from a similar search.
    """
    lower_from = upper_from = 0
    lines: list[tuple[float, float]] = []
    starts: list[int] = [0]
    length = max(len(samples) // limit, 2)
    while len(starts) < limit:
        start = starts[-1]
        if guesses and len(starts) <= len(guesses):
            length = guesses[len(starts) - 1]
        end, strip, blocked = longest_prefix(samples, lower_from, upper_from, error, start + length)
        if blocked is None:
            break
        line, lower_from, upper_from = _blocking_line(samples, lower_from, upper_from, end, error)
        lines.append(line)
        starts.append(end)
        length = end - start
    else:
        strip = narrowest_strip(samples, lower_from, upper_from, len(samples))
    lines.append((strip.slope, strip.intercept))
    knots = tuple(_meeting(*pair) for pair in itertools.pairwise(lines))
    return Path(tuple(lines), knots, tuple(starts), strip)


def _blocking_line(
    samples: Samples, lower_from: int, upper_from: int, end: int, error: float
) -> tuple[tuple[float, float], int, int]:
    """The extreme line of a window that sample `end` does not fit.

    Returns:
        the line, and the next link's lower_from and upper_from.
    """
    last = end - 1
    x, y = samples.xs[end], samples.ys[end]
    candidates: list[tuple[float, tuple[float, float], int, int]] = []
    if lower_from < last:
        line, contact = _extreme(samples, Cut(lower_from, last), lower_from, upper_from, end, error)
        shortfall = (y - error) - (line[0] * x + line[1])
        candidates.append((shortfall, line, end, contact.bottom))
    if upper_from < last:
        line, contact = _extreme(samples, Cut(last, upper_from), lower_from, upper_from, end, error)
        excess = (line[0] * x + line[1]) - (y + error)
        candidates.append((excess, line, contact.top, end))
    _, line, next_lower, next_upper = max(candidates)
    return line, next_lower, next_upper


def _extreme(
    samples: Samples, cut: Cut, lower_from: int, upper_from: int, end: int, error: float
) -> tuple[tuple[float, float], Cut]:
    """The steepest (from a rising cut) or the flattest line that serves the window.

    Newton's method on the convex width from outside: monotone, finitely many steps.
    """
    width = 2 * error
    slope = samples.touching_slope(cut, width)
    for _ in range(_MAX_STEPS):
        support, top, bottom = samples.support(slope, lower_from, upper_from, end)
        if top - bottom <= width + samples.noise or support in (cut, Cut(support.top, support.top)):
            break
        cut = support
        slope = samples.touching_slope(cut, width)
    return (slope, bottom + error), cut


def _meeting(one: tuple[float, float], other: tuple[float, float]) -> float:
    difference = one[0] - other[0]
    return (other[1] - one[1]) / difference if difference else math.nan
