"""The search: the smallest model found so far, and the question whether another is as good.

Chunks are left out as in ddmin (Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", IEEE TSE 28(2), 2002), of which only the complements are tested
(Hodovan and Kiss, "Practical improvements to the minimizing delta debugging algorithm",
ICSOFT 2016), from the back to the front: without its last nodes, a network ends earlier.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import onnx
from onnx import checker, shape_inference

from actc.reduction import graphs

Check = Callable[[onnx.ModelProto], bool]


class Exhausted(Exception):
    """The search has asked as often as it may."""


class Search:
    """A model that is interesting, and gets smaller.

    Attributes:
        model: the smallest one so far.
        tests: how often `check` was asked.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        check: Check,
        most_tests: int,
        accepted: Callable[[onnx.ModelProto, int], None],
    ) -> None:
        self.model = model
        self.tests = 0
        self._check, self._most_tests, self._accepted = check, most_tests, accepted
        self._seen = {_digest(model)}
        self._strictly = is_valid(model, strictly=True)
        self._tidy: list[Callable[[onnx.ModelProto], onnx.ModelProto]] = []
        self._types: dict[str, onnx.TypeProto] | None = None

    @property
    def types(self) -> dict[str, onnx.TypeProto]:
        """The types of the model's values, by name."""
        if self._types is None:
            self._types = graphs.types(self.model)
        return self._types

    def tidy_always(self, step: Callable[[onnx.ModelProto], onnx.ModelProto]) -> None:
        """Apply `step` to all models from now on, if the model stays interesting by it."""
        candidate = step(self.model)
        if _digest(candidate) == _digest(self.model) or self.attempt(candidate):
            self._tidy.append(step)

    def attempt(self, candidate: onnx.ModelProto | None) -> bool:
        """Take `candidate` for the model if it is valid, new and interesting.

        Raises:
            Exhausted: it would be one question too many.
        """
        if candidate is None:
            return False
        for step in self._tidy:
            candidate = step(candidate)
        if not self._is_new(candidate):
            return False
        if not is_valid(candidate, self._strictly):
            # perhaps only because its outputs have another shape now
            candidate = graphs.with_output_shapes(candidate)
            if not (self._is_new(candidate) and is_valid(candidate, self._strictly)):
                return False
        if self.tests >= self._most_tests:
            raise Exhausted
        self.tests += 1
        if not self._check(graphs.copied(candidate)):
            return False
        self.model, self._types = candidate, None
        self._accepted(candidate, self.tests)
        return True

    def _is_new(self, candidate: onnx.ModelProto) -> bool:
        digest = _digest(candidate)
        new = digest not in self._seen
        self._seen.add(digest)
        return new


def minimize(size: Callable[[], int], without: Callable[[int, int], bool]) -> bool:
    """Leave out as much of a list as possible.

    Args:
        size: how long the list is now.
        without: tries to leave out start..stop, and says whether that worked. More than these may
            have gone then.

    Returns:
        whether anything was left out.
    """
    changed = False
    chunk = max(1, size() // 2)
    while True:
        stop = size()
        while stop > 0:
            start = max(0, stop - chunk)
            if without(start, stop):
                changed = True
            stop = min(start, size())
        if chunk == 1:
            return changed
        chunk = max(1, min(chunk // 2, size() // 2))


def is_valid(model: onnx.ModelProto, strictly: bool) -> bool:
    """Whether ONNX's checker accepts a model.

    Args:
        model: with its weights inside.
        strictly: shapes must agree, too.
    """
    try:
        checker.check_model(model, full_check=strictly)
    except (checker.ValidationError, shape_inference.InferenceError, ValueError, RuntimeError):
        return False
    return True


def _digest(model: onnx.ModelProto) -> bytes:
    return hashlib.sha256(model.SerializeToString(deterministic=True)).digest()
