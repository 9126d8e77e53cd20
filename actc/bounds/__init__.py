"""A proven bound of |float - golden| at the outputs of small networks.

The float network and golden are analysed together in affine arithmetic, as ReluDiff
(Paulsen, Wang and Wang, ICSE 2020) and NeuroDiff (ASE 2020) do for networks of ReLU:
each difference between the two is carried along in terms of the inputs and of the
roundings that caused it. See docs/accuracy-debugging.md.
"""

from actc.bounds.measure import REGIONS, bound_outputs
from actc.bounds.proof import Bound, Network, Proof, data_box, format_box, network_of, prove

__all__ = [
    "REGIONS",
    "Bound",
    "Network",
    "Proof",
    "bound_outputs",
    "data_box",
    "format_box",
    "network_of",
    "prove",
]
