"""`python -m scripts.passport`."""

import sys

from scripts.passport.cli import main

sys.exit(main())
