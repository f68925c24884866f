import sys

from scripts.proof.cli import main

sys.exit(main())
