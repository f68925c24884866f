"""The repository's root is on the path whichever way pytest was started; slow machines fail no property."""

import sys
from pathlib import Path

from hypothesis import settings

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

settings.register_profile("framing", deadline=None, max_examples=50)
settings.load_profile("framing")
