"""`python -m scripts.commander`."""

import sys

from scripts.commander.cli import main

sys.exit(main())
