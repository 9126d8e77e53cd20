"""What a choice takes in memory: weights, tensors, and tables of activations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from actc.allocation.options import Item, Table, setting_for
from actc.allocation.solve import Costs, Pair
from actc.ir.dialect import DOMAIN
from actc.ir.graph import is_op

KINDS = ("weights", "tensor")


def memory(table: Table, *, tensors: bool) -> Costs:
    """Bytes by site, and those of tables by the two tensors between which they stand.

    A table has an entry of the output's bits for every code of its input.

    Args:
        tensors: whether tensors of one sample count.
    """
    counted = KINDS if tensors else KINDS[:1]
    single = [
        [float(o.bytes) if item.site.kind in counted else 0.0 for o in item.options]
        for item in table.items
    ]
    return Costs(single, list(table_pairs(table)))


def table_pairs(table: Table) -> list[Pair]:
    """Bytes of the tables, a pair of sites each."""
    place = items_of(table)
    pairs = []
    for node in table.candidates.model.graph:
        if not is_op(node, "Activation", domain=DOMAIN):
            continue
        site = table.candidates.context.sites[node.metadata_props["actc.site"]]
        names = [str(v.name) for v in (node.inputs[0], node.outputs[0]) if v is not None]
        known = [place.get(name) for name in names]
        if site.form != "table" or None in known or known[0] == known[1]:
            continue
        first, second = (table.items[i] for i in known if i is not None)
        bits = [widths(table, first, names[0]), widths(table, second, names[1])]
        entries = 2.0 ** np.array(bits[0])
        costs = np.ceil(entries[:, None] * np.array(bits[1])[None, :] / 8)
        pairs.append(Pair((place[names[0]], place[names[1]]), costs))
    return pairs


def items_of(table: Table) -> Mapping[str, int]:
    """Name of each tensor -> index of the site whose format it has."""
    own = {
        name: index
        for index, item in enumerate(table.items)
        if item.site.kind == "tensor"
        for name in item.site.values
    }
    for group in table.simulation.groups:
        index = next((own[name] for name in group if name in own), None)
        if index is not None:
            own.update(dict.fromkeys(group, index))
    return own


def widths(table: Table, item: Item, name: str) -> list[int]:
    """Bits of a tensor in each option of its site."""
    settings = (setting_for(table.candidates, item.site, o.bits) for o in item.options)
    return [setting.formats[name].wide.bits for setting in settings]
