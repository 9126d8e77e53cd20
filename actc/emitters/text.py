"""Names, comments and number tables in source code."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass

from actc.approx.fixed_point import FixedPoint
from actc.emitters.program import Range

_WIDTH = 96
_LONGEST_NAME = 60

# Keywords of C, C++ and Python, and library names that compilers know or that linkers
# would find twice.
_RESERVED = frozenset(
    re.findall(
        r"\w+",
        """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl
    concept const const_cast consteval constexpr constinit continue co_await co_return co_yield
    decltype default delete do double dynamic_cast else enum explicit export extern false float
    for friend goto if inline int long mutable namespace new noexcept not not_eq nullptr operator
    or or_eq private protected public register reinterpret_cast requires restrict return short
    signed sizeof static static_assert static_cast struct switch template this thread_local throw
    true try typedef typeid typename union unsigned using virtual void volatile wchar_t while xor
    xor_eq
    False None True as assert async await def del elif except finally from global import in is
    lambda nonlocal pass raise with yield
    abort abs acos acosh asin asinh atan atan2 atanh atexit atof atoi atol bcmp bcopy bsearch bzero
    cabs cacos calloc carg casin catan cbrt ccos ceil cexp cimag clog conj copysign cos cosh cpow
    creal csin csqrt ctan div drem entry erf erfc errno exit exp exp10 exp2 expm1 fabs fdim ffs
    floor fma fmax fmin fmod free frexp gamma getenv hypot ilogb index isalpha isdigit isinf isnan
    j0 j1 jn labs ldexp ldiv lgamma llabs llrint llround log log10 log1p log2 logb lrint lround
    main malloc memchr memcmp memcpy memmove memset modf nan nearbyint nextafter nexttoward pow
    pow10 printf putchar puts qsort rand realloc remainder remquo rindex rint round scalb scalbln
    scalbn significand signbit signal sin sincos sinh sprintf sqrt srand sscanf strcat strchr strcmp
    strcpy strlen strncpy strstr strtod strtol system tan tanh tgamma time trunc y0 y1 yn
    """,
    )
)
_TYPE = re.compile(r"u?int\w*_t|ap_\w+|\w+_MAX|\w+_MIN")


def identifier(name: str) -> str:
    """`name` as a C, C++ and Python identifier that is neither a keyword nor in a library.

    Other characters than letters, digits and single underscores become underscores.
    """
    plain = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:_LONGEST_NAME].rstrip("_")
    if not plain or plain[0].isdigit():
        plain = f"f_{plain}".rstrip("_")
    library = plain[:-1] if plain[-1] in "fl" else plain  # expf and expl beside exp
    if plain in _RESERVED or library in _RESERVED or _TYPE.fullmatch(plain):
        plain += "_unit"
    return plain


def comment(text: str) -> str:
    """`text` as printable ASCII on one line that cannot end or begin a comment."""
    plain = " ".join(text.encode("ascii", "replace").decode().split())
    plain = "".join(c if c.isprintable() else "?" for c in plain).replace("\\", "/")
    # one space after another, or "**//" would close what "*/" no longer does
    return re.sub(r"(?<=[*/?])(?=[*/?])", " ", plain)


def block_comment(lines: list[str]) -> str:
    """A C comment of wrapped lines, each of which is made safe."""
    wrapped = [row for line in lines for row in textwrap.wrap(comment(line), _WIDTH - 3) or [""]]
    return "/* " + "\n * ".join(wrapped) + "\n */"


def rows(items: list[str], indent: str) -> str:
    """Items separated by commas, in lines of limited width, each after `indent`."""
    return textwrap.fill(
        ", ".join(items),
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def real_of(format: FixedPoint) -> str:
    """How the real number follows from a code: "code / 16"."""
    if format.fraction == 0:
        return "code"
    if format.fraction > 0:
        return f"code / {2**format.fraction}"
    return f"code * {2**-format.fraction}"


def described(format: FixedPoint) -> str:
    """A format in words: "s8.4: -128..127, real = code / 16"."""
    return f"{format}: {format.low}..{format.high}, real = {real_of(format)}"


@dataclass(frozen=True)
class Header:
    """What a file says of itself.

    Attributes:
        function: what is approximated, as the user wrote it.
        max_error: largest absolute error over all inputs.
        form: kind of the form, as in its `to_json`.
    """

    function: str
    max_error: float
    form: str

    def lines(self, input: FixedPoint, output: FixedPoint) -> list[str]:
        """The lines of the comment at the top."""
        return [
            f"{self.function}: {self.form.replace('_', ' ')}, largest error {self.max_error!r}.",
            f"Input {described(input)}.",
            f"Output {described(output)}.",
        ]


def search_steps(entries: int) -> int:
    """The first step of a binary search for a rank 0..entries: a power of two."""
    return 1 << (entries.bit_length() - 1)


def c_integer(range: Range) -> str:
    """The narrowest type of <stdint.h> that holds a range."""
    for bits in (8, 16, 32):
        if range.width <= bits:
            return f"{'' if range.signed else 'u'}int{bits}_t"
    return "int64_t"
