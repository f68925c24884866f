"""Boards and providers as data: chosen, laid over each other, checked, and each value explained."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routerd.board import board, schema
from routerd.board.identity import Machine, identify
from routerd.board.overlay import Layer, merge
from routerd.config import SpoolConfig, parse
from routerd.errors import ConfigError

DATA = Path(__file__).parents[1] / "board"
BOARDS = sorted(path.parent.relative_to(DATA).as_posix() for path in DATA.glob("*/*/board.toml"))
PROVIDERS = ["paysafe", "cybera", "mako"]
PC = Machine("", "Acme/Box 9/MB1", "x86_64", 2048)


@pytest.mark.parametrize("board_id", BOARDS)
@pytest.mark.parametrize("ram_mb", [0, 128, 256, 512, 4096])
def test_every_shipped_board_loads_for_every_size_of_ram(board_id: str, ram_mb: int) -> None:
    found = board.load(DATA, board_id, ram_mb)
    assert found.id == board_id
    document = {
        "forward": {"url": "https://cloud.example"},
        "spool": {"ring_mb": found.limits.ring_mb, "hot_limit_kb": found.limits.hot_limit_kb},
    }
    assert parse(document, "limits").spool.ring_mb == found.limits.ring_mb
    for key, _, origin in found.overlay.rows():
        assert found.explain(key) == origin


def test_the_boards_that_must_ship_do() -> None:
    assert {"generic/default", "generic/x86-64", "generic/arm64", "generic/desktop", "glinet/gl-mt3000"} <= set(BOARDS)


@pytest.mark.parametrize(
    ("machine", "chosen"),
    [
        (PC, "generic/x86-64"),
        (Machine("", "", "aarch64", 512), "generic/arm64"),
        (Machine("glinet,gl-mt3000", "", "aarch64", 512), "glinet/gl-mt3000"),
        (Machine("glinet,gl-mt9999", "", "aarch64", 512), "generic/arm64"),
        (Machine("", "", "mips", 128), "generic/default"),
    ],
)
def test_a_machine_gets_the_files_made_for_it(machine: Machine, chosen: str) -> None:
    assert board.choose(DATA, machine) == chosen


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "generic/default/board.toml", (DATA / "generic/default/board.toml").read_text(encoding="utf-8"))
    write(tmp_path, "generic/mnsp.toml", (DATA / "generic/mnsp.toml").read_text(encoding="utf-8"))
    return tmp_path


def test_a_name_given_by_the_firmware_counts_before_the_bios_and_that_before_the_processor(folder: Path) -> None:
    write(folder, "a/cpu/board.toml", '[match]\nmachine = ["x86_64"]')
    write(folder, "a/dmi/board.toml", '[match]\ndmi = ["Acme/*"]')
    write(folder, "a/closer/board.toml", '[match]\ndmi = ["Acme/Box*"]')
    write(folder, "a/name/board.toml", '[match]\nboard_name = ["acme,*"]')
    assert board.choose(folder, PC) == "a/closer"
    assert board.choose(folder, Machine("acme,box", PC.dmi, PC.machine, 0)) == "a/name"
    assert board.choose(folder, Machine("", "Other/Box/X", PC.machine, 0)) == "a/cpu"


def test_the_nearer_file_wins_key_by_key_and_explain_names_it(folder: Path) -> None:
    write(folder, "a/family/board.toml", '[flash]\ntype = "nand"\nerase_block_kb = 256\n[limits]\nring_mb = 32')
    write(folder, "a/one/board.toml", '[board]\nname = "One"\nbase = "a/family"\n[flash]\ntype = "nor"')
    found = board.load(folder, "a/one", 128)
    assert (found.name, found.flash_type, found.erase_block_bytes) == ("One", "nor", 256 * 1024)
    assert found.explain("flash.type") == "a/one/board.toml"
    assert found.explain("flash.erase_block_kb") == "a/family/board.toml"
    assert found.explain("flash.budget_mb_per_day") == "generic/default/board.toml"
    assert found.explain("limits.ring_mb") == "a/family/board.toml"
    assert found.explain("limits.batch_kb") == "generic/default/board.toml"
    assert found.explain("nothing.here") == ""
    assert found.limits.ring_mb == 32


def test_limits_grow_with_ram_and_unknown_ram_counts_as_little(folder: Path) -> None:
    rings = [board.load(folder, "generic/default", ram).limits.ring_mb for ram in (0, 256, 257, 512, 513, 1 << 19)]
    assert rings == [16, 16, 24, 24, 64, 64]


def test_what_a_file_says_of_limits_counts_before_its_table_by_ram(folder: Path) -> None:
    write(folder, "a/one/board.toml", "[limits]\nring_mb = 8\n[ram.any]\nupto_mb = 9999\nring_mb = 99\nbatch_kb = 64")
    limits = board.load(folder, "a/one", 256).limits
    assert (limits.ring_mb, limits.batch_kb, limits.hot_limit_kb) == (8, 64, 1024)


def test_the_middle_class_is_what_the_configuration_defaults_to() -> None:
    limits = board.load(DATA, "generic/default", 512).limits
    assert (limits.ring_mb, limits.hot_limit_kb) == (SpoolConfig().ring_mb, SpoolConfig().hot_limit_kb)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[flash]\ntype = 5", "flash.type = 5 has the wrong type: write a text"),
        ('[flash]\ntype = "tape"', "flash.type = 'tape': use one of nor"),
        ("[flash]\nbudget_mb_per_day = 0", "use 0.1 to"),
        ('[paths]\ndata = "spool"', "write an absolute path"),
        ('[serial.com1]\nspeed = "x"', "serial.com1.speed is no setting"),
        ('[colour]\nx = "y"', "colour.x is no setting"),
        ("[match]\nmachine = [7]", "write a list of texts"),
        ("[limits]\nring_mb = true", "wrong type"),
        ('[flash]\nverified = "yes"', "write a true or false"),
        ("[flash", "mend the TOML"),
    ],
)
def test_an_impossible_file_is_named_with_key_and_remedy(folder: Path, text: str, said: str) -> None:
    write(folder, "a/one/board.toml", text)
    with pytest.raises(ConfigError) as caught:
        board.load(folder, "a/one")
    assert str(folder / "a/one/board.toml") in str(caught.value)
    assert said in str(caught.value)


def test_a_board_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(ConfigError, match="install the board files"):
        board.load(folder, "a/none")


def test_bases_that_lead_in_a_circle_are_told(folder: Path) -> None:
    write(folder, "a/one/board.toml", '[board]\nbase = "a/two"')
    write(folder, "a/two/board.toml", '[board]\nbase = "a/one"')
    with pytest.raises(ConfigError, match="circle"):
        board.load(folder, "a/one")


def test_what_no_file_gives_is_told(folder: Path) -> None:
    write(folder, "generic/default/board.toml", '[board]\nname = "x"')
    with pytest.raises(ConfigError, match="is given by no file"):
        board.load(folder, "generic/default")


def test_the_machine_is_read_from_where_it_says_it(tmp_path: Path) -> None:
    assert identify(tmp_path).board_name == ""
    assert identify(tmp_path).ram_mb == 0
    write(tmp_path, "tmp/sysinfo/board_name", "glinet,gl-mt3000\n")
    write(tmp_path, "sys/class/dmi/id/sys_vendor", "Acme\n")
    write(tmp_path, "sys/class/dmi/id/product_name", "Box 9\n")
    write(tmp_path, "proc/meminfo", "MemTotal:         498764 kB\nMemFree: 1 kB\n")
    found = identify(tmp_path)
    assert (found.board_name, found.dmi, found.ram_mb) == ("glinet,gl-mt3000", "Acme/Box 9/", 487)


def test_this_machine_has_a_board() -> None:
    machine = identify()
    assert machine.ram_mb > 0
    assert board.load(board.root(), board.choose(board.root(), machine), machine.ram_mb).serial is not None


def facts(table: dict[str, object], path: str = "") -> list[tuple[str, dict[str, object]]]:
    found = [(path, table)]
    for key, value in table.items():
        if isinstance(value, dict):
            found += facts(value, f"{path}.{key}".strip("."))
    return found


@pytest.mark.parametrize("vendor", PROVIDERS)
def test_a_provider_is_strict_and_says_what_no_public_document_confirms(vendor: str) -> None:
    table = tomllib.loads((DATA / vendor / "mnsp.toml").read_text(encoding="utf-8"))
    for path, each in facts(table):
        if path and path != "zones":
            assert isinstance(each["verified"], bool), path
            assert each["source"], path
    found = board.load_mnsp(DATA, vendor)
    assert not found.probing.allowed
    assert not found.probing.queries
    assert found.approval.by == "person"
    assert {"claim", "cloud", "probing", "approval"} <= set(found.unverified)
    assert {rule.name for rule in found.egress} >= {"ingest", "names", "time"}


def test_a_provider_without_a_known_company_says_so() -> None:
    document = tomllib.loads((DATA / "paysafe/mnsp.toml").read_text(encoding="utf-8"))
    assert document["mnsp"]["identity_confirmed"] is False


def test_a_store_without_a_provider_has_the_strict_profile() -> None:
    found = board.load_mnsp(DATA, "generic")
    assert (found.probing.allowed, found.approval.by, found.approval.follow_moves) == (False, "person", True)


def test_zones_tell_the_role_of_an_interface(folder: Path) -> None:
    zones = '[zones.a]\nrole = "pos"\ninterfaces = ["br-pos"]\nnetworks = ["10.0.0.0/8"]\n[zones.b]\nrole = "guest"'
    write(folder, "x/mnsp.toml", f'{zones}\n[approval]\nby = "policy"\nclasses = ["c"]\nmin_score = 1\nroles = ["pos"]')
    found = board.load_mnsp(folder, "x")
    assert [found.role_of(name) for name in ("br-pos", "br-guest", "")] == ["pos", "", ""]
    assert (found.approval.by, found.approval.classes, found.approval.min_score) == ("policy", ("c",), 1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[zones.a]\nrole = "tills"', "use one of pos"),
        ('[zones.a]\nnetworks = ["192.168.31.1/24"]', "write networks like"),
        ('[probing]\nbusy_hours = "6-23"', "write hours like"),
        ('[probing]\nports = ["9100"]', "probing.ports is no setting"),
        ('[approval]\nby = "nobody"', "use one of person, policy"),
        ("[approval]\nmin_score = 0.2", "use 0.5 to 1"),
        ('[approval]\nroles = ["x"]', "use roles of"),
        ('[egress.a]\nprotocol = "icmp"', "use one of tcp, udp"),
    ],
)
def test_an_impossible_provider_is_named_with_key_and_remedy(folder: Path, text: str, said: str) -> None:
    write(folder, "x/mnsp.toml", text)
    with pytest.raises(ConfigError) as caught:
        board.load_mnsp(folder, "x")
    assert str(folder / "x/mnsp.toml") in str(caught.value)
    assert said in str(caught.value)


NAMES = st.sampled_from(["a", "b", "c"])
TABLES = st.recursive(st.dictionaries(NAMES, st.integers(0, 9), max_size=3), lambda t: st.dictionaries(NAMES, t | st.integers(0, 9), max_size=3), max_leaves=6)  # fmt: skip # noqa: E501


@given(st.lists(TABLES, max_size=4))
def test_the_last_file_that_speaks_of_a_key_wins(tables: list[dict[str, object]]) -> None:
    layers = [Layer(str(number), table) for number, table in enumerate(tables)]
    merged = merge(layers)
    paths = set(merged.leaves)
    assert not any(path[:depth] in paths for path in paths for depth in range(1, len(path)))
    for layer in layers[-1:]:
        for key, value in schema.walk(layer.table):
            assert merged.get(*key.split(".")) == value
            assert merged.explain(key) == layer.origin
    for key, value, origin in merged.rows():
        assert dict(schema.walk(layers[int(origin)].table))[key] == value
        later = layers[int(origin) + 1 :]
        assert all(key not in dict(schema.walk(layer.table)) for layer in later)


@given(TABLES)
def test_nothing_laid_over_changes_nothing(table: dict[str, object]) -> None:
    assert merge([Layer("x", table), Layer("y", {})]).rows() == merge([Layer("x", table)]).rows()
