"""The C++ of many networks as one program: compiled once, and run on samples of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from actc.targets.bnn_hls import files
from actc.targets.bnn_hls.cpp import write_cpp
from actc.targets.bnn_hls.design import Design
from actc.targets.bnn_hls.simulation import (
    COMPILER_HELP,
    SIMULATION,
    pack,
    unpack,
    write_sources,
)
from actc.toolchain import find, run

Array = np.ndarray[Any, Any]

_SECONDS = 1200.0
_FLAGS = ("-O0", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-label")

_HEAD = """\
#include <cstdio>

#include "actc_axis.h"
#include "actc_functions.h"
#include "actc_layers.h"
#include "actc_products.h"
#include "actc_windows.h"

"""
# the library's headers are guarded: in a namespace there are a network's own names alone
_NETWORK = """\
namespace namespace_of_{name} {{
#include "{name}.cpp"
}}
"""
_MAIN = """\

namespace {

typedef hls::stream<actc::axis_word> words;

struct network {
  const char* name;
  void (*top)(words&, words&);
  int samples, taken, given;
};

const network networks[] = {
@ROWS@};

bool passed(const network& own, std::FILE* inputs, std::FILE* results) {
  words in("in"), out("out");
  for (int sample = 0; sample < own.samples; sample++) {
    for (int i = 0; i < own.taken; i++) {
      unsigned long long data;
      if (std::fscanf(inputs, "%llx", &data) != 1) return false;
      actc::axis_word word;
      word.data = data;
      word.last = i == own.taken - 1 ? 1 : 0;
      in.write(word);
    }
    own.top(in, out);
    for (int i = 0; i < own.given; i++) {
      const actc::axis_word word = out.read();
      if (word.last.to_int() != (i == own.given - 1 ? 1 : 0)) return false;
      const unsigned long long data = word.data.to_uint64();
      std::fprintf(results, "%016llx\\n", data);
    }
    if (!in.empty() || !out.empty()) return false;
  }
  return true;
}

}  // namespace

int main() {
  std::FILE* const inputs = std::fopen("inputs.txt", "r");
  std::FILE* const results = std::fopen("results.txt", "w");
  if (!inputs || !results) return 2;
  for (unsigned i = 0; i < sizeof networks / sizeof *networks; i++) {
    if (!passed(networks[i], inputs, results)) {
      std::fprintf(stderr, "the words of %s are wrong\\n", networks[i].name);
      return 1;
    }
  }
  return std::fclose(results);
}
"""


@dataclass(frozen=True)
class CppJob:
    """A design to be run.

    Attributes:
        design: its name is no other's.
        samples: codes, int64 [samples, rows, columns, channels].
        texts: its own files; those that are written from it, or changed ones.
    """

    design: Design
    samples: Array
    texts: Mapping[str, str]

    @classmethod
    def of(cls, design: Design, samples: Array) -> CppJob:
        """A design as it is."""
        return cls(design, samples, write_cpp(design))

    @property
    def name(self) -> str:
        """Of the design."""
        return self.design.network.name


def run_cpp(jobs: Sequence[CppJob], folder: Path) -> list[Array]:
    """What the networks give: codes, int64 [samples, rows, columns, channels] of each.

    Raises:
        ToolFailed: the compiler refused one, or the words of one were too many or too few.
    """
    headers = {f"{SIMULATION}/{key}": text for key, text in files.simulation_headers().items()}
    write_sources(folder, {**files.library(), **headers})
    for job in jobs:
        write_sources(folder, job.texts)
    (folder / "main.cpp").write_text(_main(jobs), "ascii")
    compiler = find("g++", COMPILER_HELP)
    argv = [str(compiler), *_FLAGS, f"-I{SIMULATION}", "-I.", "main.cpp", "-o", "all"]
    run(argv, timeout=_SECONDS, cwd=folder)
    packed = (pack(job.design.network.entry, job.samples) for job in jobs)
    (folder / "inputs.txt").write_bytes(b"".join(packed))
    run([str((folder / "all").resolve())], timeout=_SECONDS, cwd=folder)
    lines = (folder / "results.txt").read_bytes().split()
    found = []
    for job in jobs:
        count = len(job.samples) * job.design.words[1]
        own, lines = lines[:count], lines[count:]
        found.append(unpack(job.design.network.output, b"\n".join(own), len(job.samples)))
    assert not lines
    return found


def _main(jobs: Sequence[CppJob]) -> str:
    rows = ""
    for job in jobs:
        taken, given = job.design.words
        top = f"namespace_of_{job.name}::{job.name}"
        rows += f'    {{"{job.name}", {top}, {len(job.samples)}, {taken}, {given}}},\n'
    networks = "".join(_NETWORK.format(name=job.name) for job in jobs)
    return _HEAD + networks + _MAIN.replace("@ROWS@", rows)
