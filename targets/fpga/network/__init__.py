"""Golden models as unrolled hardware: every operator of the model has wires of its own."""

from __future__ import annotations

from actc.targets.fpga.network.check import check_network
from actc.targets.fpga.network.elements import Layer
from actc.targets.fpga.network.network import Network, build_network
from actc.targets.fpga.network.options import NetworkOptions

__all__ = ["Layer", "Network", "NetworkOptions", "build_network", "check_network"]
