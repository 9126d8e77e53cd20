"""What each rounding of a quantized network contributes to the error of its outputs."""

from actc.sensitivity.measure import Contribution, Reference, Sensitivities, choice_of, measure
from actc.sensitivity.setting import Formats, Setting, setting_of
from actc.sensitivity.simulate import Simulation
from actc.sensitivity.sites import ErrorSite, error_sites

__all__ = [
    "Contribution",
    "ErrorSite",
    "Formats",
    "Reference",
    "Sensitivities",
    "Setting",
    "Simulation",
    "choice_of",
    "error_sites",
    "measure",
    "setting_of",
]
