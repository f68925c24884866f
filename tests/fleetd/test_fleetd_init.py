"""The data folder: private, complete, and left alone when it is."""

import sqlite3
import ssl
import stat
from contextlib import closing
from pathlib import Path

import pytest

from fleetd import pki, server, sqlite_reads, sqlite_schema
from fleetd.files import Folder
from fleetd.init import init
from fleetd.sqlite_store import SqliteStore
from fleetd.store import Query
from routerd.errors import PermanentError, TransientError
from tests.fleetd.kit import delivery, device, run_of


def modes(root: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in [root, *root.iterdir()]}


def test_init_makes_a_private_folder_and_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "data"
    assert server.main(["init", "--data", str(root), "--name", "fleet.example", "--name", "::1"]) == 0
    expected = {"data": 0o700, "ca.pem": 0o644, "ca.key": 0o600, "server.pem": 0o644}
    assert modes(root) == expected | {"server.key": 0o600, "fleet.db": 0o600}
    said = capsys.readouterr().out
    assert f"{root}/ca.pem is what routers pin" in said
    assert "fleet.example, ::1" in said
    assert f"next: fleetctl --data {root} device add" in said


def test_a_second_init_changes_nothing(tmp_path: Path) -> None:
    init(tmp_path, ["fleet.example"])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert all(line.startswith("kept") for line in init(tmp_path, []))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_new_name_renews_the_certificate_under_the_same_ca(tmp_path: Path) -> None:
    init(tmp_path, ["a.example"])
    folder = Folder(tmp_path)
    pinned = folder.ca_certificate.read_bytes()
    init(tmp_path, ["10.1.2.3"])
    assert pki.names_of(folder.server_certificate.read_bytes()) == ["a.example", "10.1.2.3"]
    assert folder.ca_certificate.read_bytes() == pinned


def test_an_interrupted_init_is_completed(tmp_path: Path) -> None:
    init(tmp_path, [])
    folder = Folder(tmp_path)
    key = folder.ca_key.read_bytes()
    for path in (folder.ca_certificate, folder.server_key, folder.database):
        path.unlink()
    assert [line.split()[0] for line in init(tmp_path, [])] == ["made", "made", "made"]
    assert folder.ca_key.read_bytes() == key, "what the key signed before stays valid"


def test_a_ca_without_its_key_stops_init_with_a_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(tmp_path, [])
    Folder(tmp_path).ca_key.unlink()
    assert server.main(["init", "--data", str(tmp_path)]) == 2
    assert "restore it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["münchen.example", "a b\x00", ""])
def test_an_impossible_name_stops_init_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert server.main(["init", "--data", str(tmp_path), "--name", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_certificate_is_one_a_strict_client_accepts(tmp_path: Path) -> None:
    """Extensions that VERIFY_X509_STRICT asks for (RFC 5280), on a handshake in memory."""
    init(tmp_path, ["fleet.example"])
    folder = Folder(tmp_path)
    client = ssl.create_default_context(cafile=folder.ca_certificate)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(folder.server_certificate, folder.server_key)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="fleet.example"),
        served.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert ends[0].version() == "TLSv1.3"


def test_running_an_unprepared_folder_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert server.main(["run", "--data", str(tmp_path)]) == 2
    assert f"fleetd init --data {tmp_path}" in capsys.readouterr().err


def test_a_database_of_another_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    sqlite_schema.create(path)
    db = sqlite_schema.connect(path)
    db.execute("PRAGMA user_version = 99")
    db.close()
    for use in (sqlite_schema.create, SqliteStore):
        with pytest.raises(PermanentError) as caught:
            use(path)
        assert caught.value.code == "store.schema"


@pytest.mark.parametrize("content", [b"not a database at all" * 500, b""])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fleet.db"
    path.write_bytes(content)
    with pytest.raises((PermanentError, TransientError)):
        SqliteStore(path, read_only=True)
    assert path.read_bytes() == content


def test_init_over_a_file_that_is_no_database_leaves_it_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fleet.db"
    path.write_bytes(b"somebody's notes " * 500)
    assert server.main(["init", "--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert path.read_bytes() == b"somebody's notes " * 500


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    sqlite_schema.create(path)
    with SqliteStore(path, read_only=True) as reader:
        with pytest.raises(TransientError):
            reader.add_device(device("r1"))
        with pytest.raises(TransientError):
            reader.commit([delivery("r1")])


def test_a_database_of_the_first_schema_is_brought_up_with_its_data(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    sqlite_schema.create(path)
    with SqliteStore(path) as store:
        store.add_device(device("r1"))
        store.commit([delivery("r1", run_of(1, 3))])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DROP INDEX record_received")
        db.execute("ALTER TABLE device DROP COLUMN store")
        db.execute("ALTER TABLE device DROP COLUMN timezone")
        db.execute("PRAGMA user_version = 1")
    with pytest.raises(PermanentError, match="run `fleetd init"):
        SqliteStore(path)
    assert not sqlite_schema.create(path)
    with SqliteStore(path) as store:
        assert [(one.id, one.store) for one in store.devices()] == [("r1", "r1")]
        assert len(list(store.transactions(Query()))) == 3


def test_a_query_since_a_moment_reads_an_index_and_not_every_record(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    sqlite_schema.create(path)
    asked: list[str] = []
    with closing(sqlite_schema.connect(path, read_only=True)) as db:
        db.set_trace_callback(asked.append)
        list(sqlite_reads.transactions(db, Query(since_ms=5), raw=False))
        db.set_trace_callback(None)
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {asked[0]}")]
    assert any("USING INDEX record_received (received_ms>?)" in step for step in plan), plan
