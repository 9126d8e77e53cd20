"""Trees of polynomials: the fewest leaves, then the narrowest coefficients.

A node that one polynomial serves is one leaf; any other is as many as its halves need.
So the tree that splits only the nodes that no polynomial serves has the fewest leaves
of all trees over the first bits. That does not need that a polynomial of a node serves
its halves, which is true without truncation only: t starts anew in each half, and the
integer part of ``(t + s)**2 / 2**k`` is no integer combination of 1, t and the integer
part of ``t**2 / 2**k`` where k is larger than the bits of t in the whole node.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from actc.approx.fixed_point import Codes
from actc.approx.gates import Gates
from actc.approx.polynomial_leaves import Leaf, LeafSearch, Limits
from actc.approx.signed_digits import signed_width


class Node(NamedTuple):
    """A leaf of the tree: the gates that agree in `depth` bits, from `start` on."""

    start: int
    depth: int
    leaf: Leaf


class Tree(NamedTuple):
    """Depths and coefficients as of an IntegerPolynomial.

    Attributes:
        depths: int64 [n].
        coefficients: int64 [n, degree + 1].
        minimal: whether it is proven that no tree has fewer leaves.
    """

    depths: Codes
    coefficients: Codes
    minimal: bool


def fewest_leaves(
    gates: Gates, truncations: tuple[int, ...], shift: int, limit: int
) -> Tree | None:
    """The tree of fewest leaves; None if it has more than `limit`.

    Of its polynomials, ones with narrow coefficients are taken: a_d, then a_(d-1), ...
    get as few bits as serve all leaves while no other coefficient gets more.
    """
    search = LeafSearch(gates, truncations, shift)
    nodes = _split(search, limit)
    if nodes is None:
        return None
    minimal = not search.undecided
    nodes = _narrow(search, nodes)
    rows = [
        [constant, *node.leaf.slopes]
        for constant, node in zip(_constants(nodes), nodes, strict=True)
    ]
    depths = [node.depth for node in nodes]
    return Tree(np.array(depths, np.int64), np.array(rows, np.int64), minimal)


def _split(search: LeafSearch, limit: int) -> list[Node] | None:
    found: list[Node] = []
    pending = [(0, 0)]  # (start, depth), the next one last
    while pending:
        start, depth = pending.pop()
        end = start + (len(search) >> depth)
        leaf = search.solve(start, end)
        if leaf is not None:
            found.append(Node(start, depth, leaf))
            continue
        pending += [((start + end) // 2, depth + 1), (start, depth + 1)]
        if len(found) + len(pending) > limit:
            return None
    return found


def _narrow(search: LeafSearch, nodes: list[Node]) -> list[Node]:
    slopes = np.array([node.leaf.slopes for node in nodes], np.int64)
    widths = [signed_width(column) if column.any() else 0 for column in slopes.T]
    for k in reversed(range(len(widths))):
        least = 0
        while least < widths[k]:
            middle = (least + widths[k]) // 2
            fewer = [*widths[:k], middle, *widths[k + 1 :]]
            found = _within(search, nodes, fewer)
            if found is None:
                least = middle + 1
            else:
                nodes, widths = found, fewer
    return nodes


def _within(search: LeafSearch, nodes: list[Node], widths: list[int]) -> list[Node] | None:
    """The nodes with coefficients of so many bits, signed; None if one has none."""
    # no bits: zero
    limits: Limits = tuple((-(1 << width >> 1), max((1 << width >> 1) - 1, 0)) for width in widths)
    found: list[Node] = []
    for node in nodes:
        leaf: Leaf | None = node.leaf
        pairs = zip(node.leaf.slopes, limits, strict=True)
        if not all(low <= a <= high for a, (low, high) in pairs):
            end = node.start + (len(search) >> node.depth)
            leaf = search.solve(node.start, end, limits)
        if leaf is None:
            return None
        found.append(node._replace(leaf=leaf))
    return found


def _constants(nodes: list[Node]) -> list[int]:
    """Constants near the middle that end with as many zeros as all leaves allow."""
    leaves = [node.leaf for node in nodes]
    zeros = 0
    while zeros < 62 and all(
        -(-leaf.low >> zeros + 1) <= leaf.high >> zeros + 1 for leaf in leaves
    ):
        zeros += 1
    return [(-(-leaf.low >> zeros) + (leaf.high >> zeros)) // 2 << zeros for leaf in leaves]
