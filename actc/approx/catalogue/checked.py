"""Which formulas of the catalogue were found where, when its references were checked.

The reference of each entry named here (first author, title, year, and arXiv number or
venue) was found in the publication, in its code, or in works that cite it. An entry that
is not named here has not been checked.
"""

from __future__ import annotations

from actc.approx.catalogue.entry import CatalogueEntry


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


IN_PUBLICATION = _names(
    """
    GoLU AGLU APA RecurrentRational GroupRational RationalKAN PolyReLU PolyNorm HermiteBasis
    FourierBasis TropicalBasis TropicalRational ACON TEAL CATS DyT FastKAN ReLUKAN SineKAN
    WaveletKAN Morlet RPReLU RSign ApproxSign SquareWave VRA VRAPlus SnakeBeta FINER
    FourierKAN LaplaceActivation StarReLU SIREN Gabor Symlog APL Dice Elephant SinLU SoftModulusQ
    SoftModulusT HardASH VeLU Gish Logish NLReLU TanhSoft1 TanhSoft2 ShiftedSoftplus
    """
)
"""The formula was found in the publication or in its authors' code."""

ELSEWHERE = _names(
    """
    ReLU ReLU6 SquaredReLU HardTanh HardSigmoid HardSwish HardMish LeakyReLU PReLU
    ThresholdedReLU Softshrink Hardshrink SmeLU ELU ShiftedReLU SELU CELU Softplus Softsign
    Squareplus ISRU ISRLU LeCunTanh PELU MPELU PDELU SERLU SoftExponential SAU SMU SMU1 xIELU
    RSigELU DELU ReLUN CosLU GELU TanhGELU QuickGELU SiLU SiLUGradient Swish MaxSigmoid MaxTanh
    MinSine CosMinusX ArctanSquaredMinusX Mish TanhExp LiSHT ELiSH HardELiSH Smish Serf Phish
    CoLU Snake GrowingCosine SPDER SQU NCU RReLU HeLU dReLU DisplacedReLU FReLU CReLUNegative
    SReLU BoundedLeakyReLU PLU MeLU Maxout SignReLU CRReLU ATLU xATLU xGELU xSiLU
    MittagLefflerUnit ASH BSiLU ESwish FTSwish SwishT ARiA2 SGELU ErfAct Pserf PenalizedTanh
    Probit ArandaOrdaz Elliott RootSigmoid SQNL Softclip SmoothStep ReSech GaussianUnit
    LaplacianUnit QuadraticUnit MultiQuadraticUnit SuperGaussianUnit ExpSine GaussianDerivative
    PAU Cauchy PFLU FPFLU SLAF BSplineKAN ChebyshevKAN JumpReLU GarroteShrink FirmShrink
    SCADThreshold ReAct HOSC SwishSign DoReFa TernarySign ClippedReLU RESCU TemperedSigmoid PACT
    """
)
"""The formula was found in others' code, documentation or surveys only."""

REFERENCE_ONLY = _names(
    "DSU SSU SincPlusX XArcsinhSquared ComplementaryLogLog FATReLU TopKThreshold"
)
"""The reference was found, and not the formula."""


def mark(entry: CatalogueEntry) -> str:
    """The footnote mark of an entry's reference; "" for elementary functions."""
    if not entry.source.authors:
        return ""
    marks = {"†": IN_PUBLICATION, "‡": ELSEWHERE, "§": REFERENCE_ONLY}
    return next((sign for sign, names in marks.items() if entry.name in names), "?")
