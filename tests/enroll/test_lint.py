"""An image that would make routers alike, or show their secrets, does not pass."""

import json
from pathlib import Path

import pytest

from routerd.enroll import lint
from routerd.enroll.lint import Entry, judge, judge_claim
from routerd.wire import base64url, fields, trust
from tests.enroll.cloud import CLAIM, NOW_MS, version

PEM = b"-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----\n"
FAR_MS = 4_000_000_000_000


def claim(not_after_ms: int = FAR_MS, signatures: int = 3) -> bytes:
    bundle = version(1)
    bundle = trust.Bundle(bundle.payload, bundle.signatures[:signatures])
    mine = {"id": "mnsp7", "seed": base64url.encode(CLAIM.seed), "not_after_ms": not_after_ms}
    return fields.pack({"claim": mine, "trust": trust.bundle_values(bundle)})


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """What an OpenWrt image holds, as far as it matters here."""
    put(tmp_path, "etc/routerd/claim.json", claim(), 0o600)
    put(tmp_path, "etc/config/network", b"config interface 'lan'\n\toption proto 'static'\n")
    put(tmp_path, "etc/machine-id", b"")
    put(tmp_path, "etc/ssl/certs/ca.pem", b"-----BEGIN CERTIFICATE-----\n")
    put(tmp_path, "usr/lib/python3.13/http/cookies.py", b"PEM = '''\n" + PEM + b"'''\n")
    (tmp_path / "etc/localtime").symlink_to("/nowhere")
    return tmp_path


def put(rootfs: Path, name: str, content: bytes, mode: int = 0o644) -> None:
    path = rootfs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


def found(rootfs: Path) -> list[tuple[str, str]]:
    return [(finding.kind, finding.path) for finding in lint.lint(rootfs, NOW_MS)]


def test_a_clean_image_passes(rootfs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert found(rootfs) == []
    assert lint.main([str(rootfs)]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("etc/routerd/identity/device.key", "identity"),
        ("etc/routerd/identity/device.key.next", "identity"),
        ("srv/data/identity/identity.json", "identity"),
        ("etc/routerd/identity.foreign-1a2b3c4d-1/lock", "identity"),
        ("etc/routerd/spool/ring.db", "buffer"),
        ("var/lib/routerd/state.db-journal", "buffer"),
        ("etc/routerd/spool/quarantine/1", "buffer"),
        ("etc/urandom.seed", "seed"),
        ("var/lib/systemd/random-seed", "seed"),
        ("etc/dropbear/dropbear_ed25519_host_key", "machine"),
        ("etc/ssh/ssh_host_rsa_key", "machine"),
        ("etc/uhttpd.key", "machine"),
        ("etc/board.json", "machine"),
        ("etc/machine-id", "machine"),
        ("root/.cookies", "cookie"),
        ("var/lib/routerd/commander-cookie", "cookie"),
        ("root/.netrc", "cookie"),
    ],
)
def test_what_routers_would_share_is_found(rootfs: Path, name: str, kind: str) -> None:
    put(rootfs, name, b"x", 0o600)
    assert found(rootfs) == [(kind, name)]


@pytest.mark.parametrize("name", ["etc/stunnel/client.pem", "root/id_rsa", "etc/nginx/nginx.conf"])
def test_any_private_key_is_found(rootfs: Path, name: str) -> None:
    put(rootfs, name, b"# ours\n" + PEM, 0o600)
    assert found(rootfs) == [("private_key", name)]


def test_secrets_that_others_can_read_are_found(rootfs: Path) -> None:
    put(rootfs, "etc/routerd/commander.login", b"user\npassword\n", 0o640)
    put(rootfs, "etc/config/wireless", b"config wifi-iface\n\toption key_secret 'x'\n", 0o644)
    put(rootfs, "etc/config/vpn", b"config vpn\n\toption private_key 'x'\n", 0o600)
    (rootfs / "etc/routerd/claim.json").chmod(0o644)
    assert found(rootfs) == [
        ("exposed", "etc/config/wireless"),
        ("exposed", "etc/routerd/claim.json"),
        ("exposed", "etc/routerd/commander.login"),
    ]


def test_a_claim_that_cannot_enroll_is_found(rootfs: Path) -> None:
    for content, word in [
        (None, "add it"),
        (b"{", "make it again"),
        (claim(not_after_ms=NOW_MS), "expired"),
        (claim(signatures=1), "2 of its roots, 1 signed"),
    ]:
        [finding] = judge_claim(content, NOW_MS)
        assert finding.kind == "claim"
        assert word in finding.remedy
    (rootfs / "etc/routerd/claim.json").unlink()
    assert found(rootfs) == [("claim", "etc/routerd/claim.json")]


def test_an_empty_file_is_no_identity_and_a_link_is_not_followed(rootfs: Path) -> None:
    assert list(judge(Entry("etc/urandom.seed", 0o644, 0, b""))) == []
    (rootfs / "etc/uhttpd.key").symlink_to("/etc/shadow")
    assert found(rootfs) == []


def test_findings_are_told_as_lines_and_as_json(rootfs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(rootfs, "etc/urandom.seed", b"x")
    assert lint.main([str(rootfs)]) == 1
    assert capsys.readouterr().out == "seed: /etc/urandom.seed: delete it: each router gathers its own\n"
    assert lint.main([str(rootfs), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [row["kind"] for row in document["findings"]] == ["seed"]


@pytest.mark.parametrize("arguments", [[], ["--json"], ["/nowhere"], ["--help"], ["a", "b"]])
def test_wrong_arguments_are_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert lint.main(arguments) == 64
    assert "usage: routerd image-lint" in capsys.readouterr().err
