"""Fewest segments for a given error: longest-prefix greedy.

"Some line is within eps of all samples from a to b" is hereditary: it holds for
every part of a window for which it holds. So taking the longest possible prefix
again and again needs the fewest segments (induction on the end of the s-th one).
The longest prefix itself is found by interpolating the window's error, which grows
like a power of its length, and is exact: one sample more does not fit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from actc.approx.strip import Samples, Strip

_INTERPOLATIONS = 12
"""Interpolation steps per prefix before falling back to bisection."""


@dataclass(frozen=True)
class Segmentation:
    """Windows of samples, each with its best line.

    Attributes:
        starts: first sample of each segment; the last segment ends with the samples.
        strips: the best line of each segment.
        blocked: for each segment but the last, the strip of the window that also
            holds the next segment's first sample: it exceeds the error asked for.
    """

    starts: tuple[int, ...]
    strips: tuple[Strip, ...]
    blocked: tuple[Strip, ...]

    @property
    def attained(self) -> float:
        """Largest error of a segment."""
        return max(strip.error for strip in self.strips)

    @property
    def obstacles(self) -> tuple[Strip, ...]:
        """One window per segment such that their least `lower` bounds every rival.

        If as many lines had a smaller error, by induction the s-th of them would end
        before the s-th window here does, and the last before the last sample.
        """
        return (*self.blocked, self.strips[-1])

    def lengths(self, count: int) -> list[int]:
        """Number of samples of each segment, of `count` in total."""
        ends = (*self.starts[1:], count)
        return [end - start for start, end in zip(self.starts, ends, strict=True)]


def longest_prefix(
    samples: Samples, lower_from: int, upper_from: int, error: float, guess: int
) -> tuple[int, Strip, Strip | None]:
    """The longest window from the given starts that one line serves within `error`.

    Args:
        lower_from, upper_from: see :func:`~actc.approx.strip.narrowest_strip`.
        guess: where the window may end.

    Returns:
        end (excluded), the strip, and the strip that shows why the window cannot
        end later (None when it holds the last sample).
    """
    count = len(samples)
    origin = max(lower_from, upper_from)
    fits, misfits = origin + 1, count + 1
    best = samples.strip(lower_from, upper_from, fits)
    blocked: Strip | None = None
    end = min(max(guess, fits + 1), count)
    known: list[tuple[int, float]] = []
    step = 0
    while misfits - fits > 1 and fits < count:
        strip = samples.strip(lower_from, upper_from, end)
        if strip.error <= error:
            fits, best = end, strip
        else:
            misfits, blocked = min(end, strip.last_witness + 1), strip
        known = [*known[-1:], (end - origin, strip.error)]
        step += 1
        end = _next_end(origin, fits, misfits, count, known, error, step)
    return fits, best, blocked


def _next_end(
    origin: int,
    fits: int,
    misfits: int,
    count: int,
    known: list[tuple[int, float]],
    error: float,
    step: int,
) -> int:
    """Where to look next: a power law through the last two windows, then bisection."""
    if step > _INTERPOLATIONS:
        return min((fits + misfits) // 2, count)
    length, found = known[-1]
    target = 2.0 * length
    if found > 0 and error > 0:
        target = length * min((error / found) ** (1 / _exponent(known)), 4.0)
    return min(max(origin + int(target), fits + 1), misfits - 1, count)


def _exponent(known: list[tuple[int, float]]) -> float:
    """Growth of the error with the window's length; 2 for smooth functions."""
    if len(known) < 2:
        return 2.0
    (length, error), (other_length, other_error) = known
    if min(error, other_error) <= 0 or length == other_length or error == other_error:
        return 2.0
    power = math.log(error / other_error) / math.log(length / other_length)
    return min(max(power, 0.3), 12.0)


def fewest_segments(
    samples: Samples, error: float, limit: int, guesses: list[int] | None = None
) -> Segmentation:
    """Cover the samples with the fewest lines within `error`.

    At most `limit` lines: the last of these takes all the rest, whatever its error.

    Args:
        guesses: expected length of each segment, from a similar search.
    """
    starts: list[int] = [0]
    strips: list[Strip] = []
    blocked: list[Strip] = []
    length = max(len(samples) // limit, 2)
    while len(starts) < limit:
        if guesses and len(starts) <= len(guesses):
            length = guesses[len(starts) - 1]
        start = starts[-1]
        end, strip, block = longest_prefix(samples, start, start, error, start + length)
        if block is None:
            return Segmentation(tuple(starts), (*strips, strip), tuple(blocked))
        starts.append(end)
        strips.append(strip)
        blocked.append(block)
        length = end - start
    strips.append(samples.strip(starts[-1], starts[-1], len(samples)))
    return Segmentation(tuple(starts), tuple(strips), tuple(blocked))
