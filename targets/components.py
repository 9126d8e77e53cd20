"""What is in an artefact, of actc and of others, and what it needs when it runs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

APACHE = "Apache-2.0"
MIT = "MIT"
GCC_RUNTIME = "GPL-3.0-or-later WITH GCC-exception-3.1"
LLVM = "Apache-2.0 WITH LLVM-exception"
NVIDIA = "LicenseRef-NVIDIA-Proprietary"
AMD = "LicenseRef-AMD-Proprietary"


@dataclass(frozen=True, slots=True)
class Component:
    """Code that somebody has written.

    Attributes:
        name: what it is known as.
        licence: an SPDX expression.
        what: the parts that are meant, in words.
        files: patterns of the artefact's files that hold it, or of those that need it when they
            run; where none is there, it does not matter. A pattern that ends with `/` stands for
            all below a folder of this name, wherever it lies.
        distribution: the installed package that it is a part of, which has its version; "" where
            there is none.
        needed: when the artefact runs; it is not in there.
    """

    name: str
    licence: str
    what: str
    files: tuple[str, ...]
    distribution: str = ""
    needed: bool = False

    def holders(self, names: Iterable[str]) -> list[str]:
        """The patterns that files of an artefact match."""
        paths = [PurePosixPath(name) for name in names]
        return [pattern for pattern in self.files if any(_matches(p, pattern) for p in paths)]


def _matches(path: PurePosixPath, pattern: str) -> bool:
    if pattern.endswith("/"):
        return pattern[:-1] in path.parts[:-1]
    return path.match(pattern)


def own(what: str, *files: str) -> Component:
    """What actc's templates and generators wrote."""
    return Component("actc", APACHE, what, files, "actc")


_LIBGCC = Component("libgcc", GCC_RUNTIME, "libgcc's start-up files", ("model.so",))
_TVM = (
    Component("apache-tvm", APACHE, "TVM's runtime", ("model.so",), "apache-tvm", needed=True),
    Component("apache-tvm-ffi", APACHE, "tvm-ffi", ("model.so",), "apache-tvm-ffi", needed=True),
)
_AC = "headers of Siemens'"
ONNX = (
    own("definitions of the integer operators in `golden.onnx`", "golden.onnx"),
    Component(
        "onnxruntime",
        MIT,
        "any ONNX runtime, such as onnxruntime",
        ("golden.onnx",),
        "onnxruntime",
        needed=True,
    ),
)
CPU = (
    own(
        "kernels, `run.py`, `run.cpp`; `network.c`, `network.h`, `main.c` beside objects",
        *("model.so", "run.py", "run.cpp", "kernels.o", "network.c", "network.h", "main.c"),
    ),
    Component("LLVM", LLVM, "code that LLVM generates", ("model.so", "kernels.o")),
    _LIBGCC,
    *_TVM,
)
CUDA = (
    own("kernels, `run.py`", "model.so", "kernels.cu", "run.py"),
    Component("NVIDIA CUDA toolkit", NVIDIA, "code that nvcc generates", ("model.so",)),
    Component("GCC", GCC_RUNTIME, "code of headers that g++ compiles", ("model.so",)),
    _LIBGCC,
    *_TVM,
    Component("libstdc++", GCC_RUNTIME, "libstdc++", ("model.so",), needed=True),
    Component("NVIDIA driver", NVIDIA, "NVIDIA's driver", ("model.so",), needed=True),
)
C = (own("all of the C", "*.c", "*.h"),)
HLS4ML = (
    own("layers, bench, scripts", "project/", "host/"),
    Component("hls4ml", APACHE, "hls4ml's headers `nnet_utils`", ("nnet_utils/",), "hls4ml"),
    Component("ap_types", APACHE, "headers of AMD's `ap_types`", ("ap_types/",)),
    Component(
        "ap_shift_reg",
        f"{APACHE} AND {AMD}",
        "`ap_shift_reg.h`, which comes with hls4ml and whose notice is AMD's proprietary one",
        ("ap_shift_reg.h",),
        "hls4ml",
    ),
    Component("ac_types", APACHE, f"{_AC} `ac_types`", ("ac_types/",)),
    Component("ac_math", APACHE, f"{_AC} `ac_math`", ("ac_math/",)),
    Component("ac_simutils", APACHE, f"{_AC} `ac_simutils`", ("ac_simutils/",)),
)
BNN_HLS = (own("all of `hls/` and `host/`", "hls/", "host/"),)
VERILOG = (own("all of `rtl/`, the testbench", "rtl/", "sim/"),)
FPGA = (own("all of `rtl/`", "rtl/"),)
