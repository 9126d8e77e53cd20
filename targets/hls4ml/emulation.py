"""What lets g++ compile hls4ml's oneAPI projects: a small SYCL, and names for the bench."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

FOLDER = "emulation"
SOURCE = Path(__file__).parent / FOLDER
PARTS = "actc_parts.h"
"""Names of the network's pipes and of its kernel, and all its constants."""
_TYPES = "quartus/ac_types"
"""hls4ml's copy of the integers that Intel's compiler brings itself."""
_TEXT = """// What wants constants at compile time comes first, without: the open ac_int has none.
#include "src/firmware/defines.h"
#include "src/firmware/nnet_utils/nnet_dense.h"

#define constexpr const
#include "src/firmware/nnet_utils/nnet_conv2d_stream.h"
{constants}
#undef constexpr

#include "src/firmware/{name}.cpp"

typedef {kernel} actc_kernel;
typedef {given} actc_given;
typedef {found} actc_found;
"""


def write(model: Any, project: Path) -> None:
    """Write the emulation into a project.

    Args:
        model: hls4ml's, which wrote the project.
    """
    import hls4ml
    from hls4ml.utils.string_utils import convert_to_pascal_case

    folder = project / FOLDER
    shutil.copytree(SOURCE, folder)
    library = Path(hls4ml.__file__).parent / "templates" / _TYPES
    shutil.copytree(library, folder / "ac_types", ignore=shutil.ignore_patterns("stream.h"))
    name = model.config.get_project_name()
    weights = sorted((project / "src/firmware/weights").glob("*.h"))
    text = _TEXT.format(
        constants="\n".join(f'#include "src/firmware/weights/{path.name}"' for path in weights),
        name=name,
        kernel=convert_to_pascal_case(name),
        given=model.get_input_variables()[0].pipe_name,
        found=model.get_output_variables()[0].pipe_name,
    )
    (folder / PARTS).write_text(text, "utf-8")
