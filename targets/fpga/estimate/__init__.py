"""What a design takes of an FPGA, before it is synthesized."""

from __future__ import annotations

from actc.targets.fpga.estimate.design import Estimate, LayerEstimate, estimate_design

__all__ = ["Estimate", "LayerEstimate", "estimate_design"]
