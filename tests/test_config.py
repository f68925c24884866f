"""The configuration: complete, checked, and clear about what is wrong."""

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.config import Config, ControlConfig, ForwardConfig, SpoolConfig, load, parse
from routerd.errors import ConfigError
from routerd.model import CommanderLink, FolderLink, SerialLink, TcpConnectLink, TcpListenLink

SHIPPED = Path(__file__).parents[1] / "board/generic/default/routerd.toml"
FORWARD = {"url": "https://cloud.example"}


def test_the_shipped_example_shows_every_setting_with_its_default() -> None:
    config = load(SHIPPED)
    assert config.spool == SpoolConfig()
    assert config.control == ControlConfig()
    assert config.forward == ForwardConfig(url="https://cloud.example:8443")
    document = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    for name, kind in (("spool", SpoolConfig), ("forward", ForwardConfig), ("control", ControlConfig)):
        assert set(document[name]) == set(kind.__slots__)
    links = {SerialLink, TcpConnectLink, TcpListenLink, CommanderLink, FolderLink}
    assert {type(source.link) for source in config.sources} == links
    by_name = {source.name: source for source in config.sources}
    login = Path("/etc/routerd/site.login")
    assert by_name["site"].link == CommanderLink("192.168.31.11", login)
    assert (by_name["site"].framer, by_name["site"].dialect) == ("xml-element", "transset")
    assert by_name["back-office"].link == FolderLink(Path("/mnt/boxout"))


def wrong(**sections: object) -> str:
    with pytest.raises(ConfigError) as caught:
        parse({"forward": FORWARD, **sections}, "store.toml")
    assert str(caught.value).startswith("store.toml")
    return str(caught.value)


@pytest.mark.parametrize("url", ["http://cloud", "cloud", "https://", "", "https://cloud:99999", "https://[::1"])
def test_only_https_is_spoken(url: str) -> None:
    assert "https://" in wrong(forward={"url": url})


def test_names_of_sources_are_unique_and_plain() -> None:
    source = {"name": "till", "link": "serial", "port": "/dev/ttyUSB0", "framer": "text"}
    assert "two sources" in wrong(source=[source, source])
    for name in ("", "Till", "a/b", "..", "x" * 33):
        assert "use a-z" in wrong(source=[{**source, "name": name}])


@pytest.mark.parametrize(("key", "low", "high"), [("ring_mb", 2, 4096), ("safe_within_s", 0.5, 60.0)])
def test_limits_hold_at_the_limit_and_not_past_it(key: str, low: float, high: float) -> None:
    for value in (low, high):
        config = parse({"forward": FORWARD, "spool": {key: value, "seal_after_s": 0.01}}, "x")
        assert getattr(config.spool, key) == value
    assert "out of range" in wrong(spool={key: high * 2})


def test_a_door_is_checked_before_anybody_knocks() -> None:
    door = {
        "name": "a",
        "link": "tcp-listen",
        "bind": "0.0.0.0",
        "port": 9201,
        "allow": ["10.5.60.0/24"],
        "framer": "text",
    }
    assert parse({"forward": FORWARD, "source": [door]}, "x").sources[0].name == "a"
    assert "10.5.60.0/24" in wrong(source=[{**door, "allow": ["the till"]}])
    assert "port 9201" in wrong(source=[door, {**door, "name": "b"}])
    assert "use one of serial" in wrong(source=[{**door, "link": ["tcp-listen"]}])


def test_a_seal_later_than_the_promise_allows_is_refused() -> None:
    assert "at most half" in wrong(spool={"safe_within_s": 1.0, "seal_after_s": 0.8})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=8,
    )
)
def test_whatever_stands_in_a_section_gives_a_config_or_a_config_error(junk: object) -> None:
    for section in ("spool", "forward", "control", "source", "other"):
        with suppress(ConfigError):
            assert isinstance(parse({"forward": FORWARD, section: junk}, "x"), Config)


def test_a_file_that_is_absent_or_no_toml_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--config"):
        load(tmp_path / "absent.toml")
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe = 1")
    with pytest.raises(ConfigError, match="TOML"):
        load(tmp_path / "bad.toml")


def test_a_commander_is_polled_no_faster_than_its_own_log_bears() -> None:
    site = {"name": "site", "link": "commander", "host": "192.168.31.11", "login_file": "/etc/login"}
    assert "60 or more" in wrong(source=[{**site, "poll_s": 59}])
    assert parse({"forward": FORWARD, "source": [{**site, "poll_s": 60}]}, "x").sources
    for periods in ([], ["weekly"], ["daily", "hourly"]):
        assert '["daily"]' in wrong(source=[{**site, "periods": periods}])
