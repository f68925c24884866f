"""`python -m scripts.pos`."""

import sys

from scripts.pos.cli import main

sys.exit(main())
