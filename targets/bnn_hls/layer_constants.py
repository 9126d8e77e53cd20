"""The constants of one layer, as declarations: weights, and what its functions compare with."""

from __future__ import annotations

from collections.abc import Sequence

from actc.targets.bnn_hls import constants
from actc.targets.bnn_hls.design import Design, layer_name
from actc.targets.bnn_hls.layers import Integers, MatrixLayer
from actc.targets.fpga.hdl import Range


class LayerConstants:
    """Weights and functions of a layer.

    Args:
        number: of the layer.
    """

    def __init__(self, design: Design, number: int) -> None:
        self.layer, self.function = design.network.layers[number], design.functions[number]
        self.option = design.choice.options[number]
        self.folding = self.option.folding
        self.name = layer_name(design, number)

    def declarations(self) -> str:
        """Declarations."""
        return "\n".join(filter(None, (self._weights(), self._function_text())))

    def _weights(self) -> str:
        layer, pe = self.layer, self.folding.pe
        if not isinstance(layer, MatrixLayer):
            return ""
        width, words = constants.weight_words(layer, pe, self.folding.simd)
        text = constants.rows(
            [constants.braces(constants.bits(word, width) for word in row) for row in words]
        )
        return (
            f"static const ap_uint<{width}> {self.name}_weights[{pe}][{len(words[0])}] =\n{text};\n"
        )

    def _function_text(self) -> str:
        if self.function.form == "same":
            return ""
        members = ",\n".join(self._members())
        return f"static const {self.type()} {self.name}_function = {{\n{members}}};\n"

    def type(self) -> str:
        """The type of the function."""
        function, pe = self.function, self.folding.pe
        if function.form == "same":
            return f"actc::Same<{function.bits}>"
        limit = constants.integer_type(function.limit_range) if function.limits.size else ""
        shape = f"{pe}, {constants.folds_of(function, pe)}"
        count = function.limits.shape[1]
        # "> >" since old compilers read ">>" as a shift
        return {
            "plain": f"actc::Plain<{shape}, {function.factor}, {self._offset_type()}, "
            f"{function.bits}>",
            "threshold": f"actc::Threshold<{shape}, {limit} >",
            "count": f"actc::Count<{shape}, {count}, {limit}, {function.bits}>",
            "steps": f"actc::Steps<{shape}, {count}, {limit}, {function.bits}>",
            "table": f"actc::Table<{shape}, {function.totals.low}, {function.levels.shape[1]}, "
            f"{function.bits}>",
            "search": f"actc::Search<{shape}, {function.depth}, {limit}, {function.bits}>",
        }[function.form]

    def _offset_type(self) -> str:
        function = self.function
        scaled = function.totals * Range(function.factor, function.factor)
        offsets = Range.of(map(int, function.levels.reshape(-1)))
        whole = scaled.hull(offsets).hull(Range(-1, function.factor))
        return constants.integer_type(whole.hull(Range(2 * whole.low, 2 * whole.high)))

    def _members(self) -> list[str]:
        function = self.function
        limits = function.limits
        if function.form == "search":
            parts = constants.search_rows(limits, function.depth)
            half = 1 << (function.depth - 1)
            return [self._search(parts, half), self._table(function.levels, flat=True)]
        if function.form == "plain":
            return [self._single(function.levels, signed=True)]
        if function.form == "threshold":
            return [self._single(limits, signed=True), self._single(function.levels)]
        if function.form == "table":
            return [self._table(function.levels)]
        first = self._table(limits, signed=True)
        if function.form == "count":
            return [first, self._single(function.levels[:, :1])]
        return [first, self._table(function.levels)]

    def _literal(self, value: int, signed: bool) -> str:
        return constants.number(value) if signed else constants.bits(value, self.function.bits)

    def _single(self, table: Integers, *, signed: bool = False) -> str:
        """[pe][fold]."""
        units = constants.by_unit(table, self.folding.pe)
        return constants.rows(
            [constants.braces(self._literal(row[0], signed) for row in unit) for unit in units]
        )

    def _table(self, table: Integers, *, signed: bool = False, flat: bool = False) -> str:
        """[pe][fold][entry], or [pe][fold * entry]."""
        found = []
        for unit in constants.by_unit(table, self.folding.pe):
            texts = [[self._literal(value, signed) for value in row] for row in unit]
            if flat:
                found.append(constants.braces(text for row in texts for text in row))
            else:
                found.append(constants.rows([constants.braces(row) for row in texts]))
        return constants.rows(found)

    def _search(self, parts: Sequence[Integers], half: int) -> str:
        """[pe][comparison][fold * half]."""
        pe = self.folding.pe
        folds = constants.folds_of(self.function, pe)
        by_part = [constants.by_unit(part, pe) for part in parts]
        found = []
        for unit in range(pe):
            texts = []
            for part in by_part:
                row = [constants.number(value) for fold in part[unit] for value in fold]
                assert len(row) <= folds * half
                texts.append(constants.braces(row))
            found.append(constants.rows(texts))
        return constants.rows(found)
