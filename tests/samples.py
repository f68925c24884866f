"""Where the genuine t-logs are. They are never part of this repository; a test that needs one fails without it."""

from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[1].parent / "shared" / "tlogs"


def sample(*parts: str) -> bytes:
    """The bytes of one genuine file, e.g. `sample("verifone-serial", "register.bin")`."""
    return SAMPLES.joinpath(*parts).read_bytes()


def sample_names(folder: str, pattern: str = "*") -> list[str]:
    """The names of a folder's files, sorted; never empty."""
    names = sorted(path.name for path in SAMPLES.joinpath(folder).glob(pattern))
    assert names, f"no {pattern} in {SAMPLES / folder}: the genuine t-logs are missing"
    return names
