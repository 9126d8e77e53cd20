"""`python -m actc` is `actc`."""

import sys

from actc.cli import main

if __name__ == "__main__":
    sys.exit(main())
