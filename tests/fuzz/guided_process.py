"""A process of coverage-guided fuzzing: `python -m fuzz.guided_process TARGET FOLDER SECONDS`.

It is apart from `fuzz.guided` because the fuzzer ends the process in which it runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fuzz.guided import fuzz_in_this_process

if __name__ == "__main__":
    fuzz_in_this_process(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
