"""Runs hls4ml in a process of its own: ``python -m actc.targets.hls4ml.worker``, in a folder.

The folder has `network.onnx` and `settings.json`; hls4ml writes its project into `project`. A
process of its own, as hls4ml prints much, keeps global tables, and fails in its own ways.
"""

from __future__ import annotations

import json
from pathlib import Path

MODEL, SETTINGS, PROJECT = "network.onnx", "settings.json", "project"


def main() -> None:
    """Convert, and write."""
    import hls4ml

    from actc.targets.hls4ml.extension import register

    settings = json.loads(Path(SETTINGS).read_text("utf-8"))
    register((settings["backend"],))
    model = hls4ml.converters.convert_from_onnx_model(MODEL, output_dir=PROJECT, **settings)
    model.write()


if __name__ == "__main__":
    main()
