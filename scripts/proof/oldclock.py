"""routerd with a wall clock of another year: `python -m scripts.proof.oldclock YEAR routerd-arguments…`."""

import sys
import time
from datetime import UTC, datetime

from routerd import daemon


def main() -> int:
    year = int(sys.argv.pop(1))
    shift_ns = int((datetime(year, 1, 1, tzinfo=UTC) - datetime.now(UTC)).total_seconds()) * 10**9
    real = time.time_ns
    time.time_ns = lambda: real() + shift_ns
    time.time = lambda: (real() + shift_ns) / 1e9
    return daemon.main()


if __name__ == "__main__":
    sys.exit(main())
