"""What must not be loaded: memory on a router is what is imported."""

import subprocess
import sys

BEFORE_THE_NETWORK = {"aiohttp", "ssl_match_hostname", "email", "urllib.request", "serial", "zstandard"}
NEVER = {
    "aiohttp.web",
    "argparse",
    "cryptography",
    "http.server",
    "importlib.metadata",
    "logging.config",
    "logging.handlers",
    "multiprocessing",
    "pydoc",
    "unittest",
    "xml",
    "zeroconf",
}


def loaded(*modules: str) -> set[str]:
    """All that a fresh interpreter holds after importing `modules`."""
    program = f"import {', '.join(modules)}, sys; print('\\n'.join(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(shown.stdout.split())


def test_capture_starts_before_the_network_half_is_imported() -> None:
    found = loaded("routerd.daemon")
    assert not found & BEFORE_THE_NETWORK
    assert not found & NEVER


def test_the_whole_daemon_loads_nothing_heavy_for_convenience() -> None:
    found = loaded("routerd.daemon", "routerd.cloud", "routerd.forward.forwarder", "routerd.capture.serial")
    assert "aiohttp" in found
    assert not found & NEVER
