"""What decoding kernels takes: registers that shift, and tables of the kernels' weights."""

from __future__ import annotations

from actc.targets.fpga.families import Family
from actc.targets.fpga.folded.costs.memory import rom_cells
from actc.targets.fpga.folded.folding import Folding, decoder_clocks
from actc.targets.fpga.folded.kernels import Kernels, kernels_of, reads_of
from actc.targets.fpga.folded.program import MatrixStage

_CONTROL = 14
"""Logic cells that tell which kernels are read, and those of each clock of reading."""


def index_memory(stage: MatrixStage, folding: Folding) -> tuple[int, int]:
    """Width and depth of the memory of indices."""
    lanes, reads = folding.pe * folding.simd, reads_of(stage, folding.pe, folding.simd)
    kernels = _kernels(stage)
    return reads.width * kernels.index_bits, kernels.index.size // lanes * reads.count


def decoder_logic(stage: MatrixStage, folding: Folding, family: Family) -> tuple[float, float]:
    """Logic cells and flip-flops of what makes weights of indices, and of words that wait."""
    lanes, reads = folding.pe * folding.simd, reads_of(stage, folding.pe, folding.simd)
    entries = _kernels(stage).entries
    count, places = entries.shape
    decoded = reads.width * places
    late = lanes * (reads.count - 1) / 2
    waiting = folding.simd * decoder_clocks(stage, folding)
    cells = _CONTROL + lanes * (places - 1) + rom_cells(decoded, count, family)
    if family.ff_behind_lut:  # of flip-flops with no table in front, each fills a cell
        cells += lanes + late + waiting
    return cells, _CONTROL + lanes * places + decoded + late + waiting


def _kernels(stage: MatrixStage) -> Kernels:
    found = kernels_of(stage)
    assert found is not None, "foldings have a codebook where there is one"
    return found
