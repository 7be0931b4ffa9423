"""Evidence of a contract: the same bytes for the same as-of, checked without a database, and broken by any edit."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from sync_core.audit import audit
from sync_core.audit import checkpoint as audit_checkpoint
from sync_core.audit.checkpoint import Checkpoint, Signer
from sync_core.authority import person
from sync_core.clock import VirtualClock
from sync_core.commands.desk import Desk, InvalidInput, NotFound
from sync_core.commands.evidence import EvidenceExport, Exported
from sync_core.evidence.check import EvidenceBroken, check
from sync_core.evidence.evidence import FILES
from sync_core.evidence.proof import NotWhole
from tests import rows
from tests.databases import DatabaseUrls
from tests.filled import filled

EVE = person("eve@example.com", ["auditor"])
ADA = person("ada@example.com", ["operator:tax"])
SIGNER = Signer.parse("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
OTHER = Signer.parse("ICECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
KEYS = {SIGNER.public.id: SIGNER.public}
CONTRACT = "C-120"  # active, so it has events, a run with operations, objects in the ERP
EMPTY = ("exceptions.json", "financial.json", "holds.json")  # CONTRACT has none
AS_OF = rows.NOW + timedelta(hours=1)


@pytest.fixture
def database_urls(server: Endpoint) -> Iterator[DatabaseUrls]:
    with filled(server, "seeded_200", lambda url: rows.seed(url, 200)) as urls:
        yield urls


@pytest.fixture
def firm(database: sa.Engine) -> sa.Engine:
    """200 contracts; 30 audit rows over three of them, of which CONTRACT has every third."""
    with database.begin() as conn:
        find = sa.text("SELECT contract_id FROM core.contract WHERE external_id = :id")
        ids = [conn.scalar(find, {"id": one}) for one in ("C-119", CONTRACT, "C-121")]
        for number in range(30):
            entry = audit.Entry("exception.comment", f"exception {number}", "because", ids[number % 3], "GB01",
                                detail={"comment": f"about {number}"})  # fmt: skip
            audit.append(conn, ADA, [entry], now=rows.NOW + timedelta(seconds=number))
    return database


def checkpoint(engine: sa.Engine, row_id: int) -> Checkpoint:
    with engine.connect() as conn:
        hashed = conn.scalar(sa.text("SELECT hash FROM core.audit WHERE id = :id"), {"id": row_id})
    return audit_checkpoint.make(SIGNER, last_id=row_id, last_hash=bytes(hashed), rows=row_id, now=rows.NOW)


def exported(engine: sa.Engine, *checkpoints: Checkpoint, hours: float = 2) -> Exported:
    desk = Desk(engine, VirtualClock(rows.NOW + timedelta(hours=hours)), rows.estate())
    return EvidenceExport(desk, SIGNER).export(EVE, CONTRACT, as_of=AS_OF, checkpoints=checkpoints)


def written(made: Exported, folder: Path) -> Path:
    folder.mkdir()
    for name, body in made.files.items():
        (folder / name).write_bytes(body)
    return folder


def test_evidence_holds_all_of_one_contract_and_checks_offline(firm: sa.Engine, tmp_path: Path) -> None:
    made = exported(firm, checkpoint(firm, 10), checkpoint(firm, 20))
    assert set(made.files) == {*FILES, "manifest.json"}
    lines = {name: body.splitlines() for name, body in made.files.items()}
    assert [orjson.loads(line)["type"].rpartition("contract.")[2] for line in lines["events.jsonl"]] == [
        "signed.v1",
        "approved.v1",
        "amended.v1",
    ]
    assert [len(orjson.loads(line)["operations"]) for line in lines["plans.jsonl"]] == [2]
    assert len(orjson.loads(made.files["crosswalk.json"])) == 2
    assert orjson.loads(made.files["contract.json"])["contract"]["terms"]["po_number"] == "PO-2"
    assert [orjson.loads(line)["id"] for line in lines["audit.jsonl"]] == list(range(2, 31, 3))
    found = check(written(made, tmp_path / "e"), KEYS)
    assert (found.external_id, found.audit_rows, found.checkpoints, found.key_given) == (CONTRACT, 10, 2, True)
    assert check(tmp_path / "e", {}).key_given is False


def test_other_contracts_are_in_the_proof_by_hashes_alone(firm: sa.Engine) -> None:
    made = exported(firm)
    assert b"C-119" not in b"".join(made.files.values())
    assert b"about 3" not in b"".join(made.files.values())
    assert b"about 4" in made.files["audit.jsonl"]


def test_the_same_as_of_gives_the_same_bytes_though_making_it_is_audited(firm: sa.Engine) -> None:
    marks = [checkpoint(firm, 10)]
    assert exported(firm, *marks).files == exported(firm, *marks, hours=30).files
    with firm.connect() as conn:
        rows_ = conn.execute(sa.text("SELECT action, detail FROM core.audit WHERE id > 30 ORDER BY id")).all()
    assert [row.action for row in rows_] == ["evidence.export"] * 2
    assert len({orjson.loads(row.detail)["manifest_sha256"] for row in rows_}) == 1


def test_a_contract_out_of_reach_or_ambiguous_is_refused(firm: sa.Engine) -> None:
    desk = Desk(firm, VirtualClock(AS_OF), rows.estate())
    evidence = EvidenceExport(desk, SIGNER)
    with pytest.raises(NotFound):
        evidence.export(person("eve@example.com", ["auditor@XX99"]), CONTRACT)
    with pytest.raises(NotFound):
        evidence.export(EVE, CONTRACT, source="//another")
    with pytest.raises(InvalidInput, match="still to come"):
        evidence.export(EVE, CONTRACT, as_of=AS_OF + timedelta(seconds=1))
    with firm.begin() as conn:
        twin = sa.text("""
            INSERT INTO core.contract (source, external_id, state, state_since, received_at, updated_at)
            SELECT '//another', external_id, state, state_since, received_at, updated_at FROM core.contract
            WHERE external_id = :id
        """)
        conn.execute(twin, {"id": CONTRACT})
    with pytest.raises(InvalidInput, match="several CLMs"):
        evidence.export(EVE, CONTRACT)


def test_no_evidence_is_made_of_an_audit_that_is_not_whole(firm: sa.Engine, database_urls: DatabaseUrls) -> None:
    owner = sa.create_engine(database_urls.owner, poolclass=sa.NullPool)
    with owner.begin() as conn:
        conn.execute(sa.text("UPDATE core.audit SET reason = 'other' WHERE id = 15"))
    with pytest.raises(NotWhole, match="tieline audit verify"):
        exported(firm)


def test_a_command_that_ends_meanwhile_is_not_taken_for_tampering(firm: sa.Engine) -> None:
    """Its clock was read before the as-of and it commits between two statements of the export."""

    def overtake(conn: sa.Connection, cursor: object, statement: str, *rest: object) -> None:
        if "contract_id = %(contract)s AND occurred_at" in statement and not overtaken:
            overtaken.append(True)
            with other.begin() as late:
                audit.append(late, ADA, [entry], now=rows.NOW)

    with firm.connect() as conn:
        find = sa.text("SELECT contract_id FROM core.contract WHERE external_id = :id")
        entry = audit.Entry("exception.comment", "exception 1", contract_id=conn.scalar(find, {"id": CONTRACT}))
    overtaken: list[bool] = []
    other = sa.create_engine(firm.url, poolclass=sa.NullPool)
    sa.event.listen(firm, "before_cursor_execute", overtake)
    made = exported(firm)
    assert overtaken
    assert [orjson.loads(line)["id"] for line in made.files["audit.jsonl"].splitlines()] == list(range(2, 31, 3))


def _edit(name: str, old: bytes, new: bytes) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        body = (folder / name).read_bytes()
        assert old in body
        (folder / name).write_bytes(body.replace(old, new, 1))

    return edit


@pytest.mark.parametrize(
    ("tamper", "named"),
    [
        *((_edit(name, b"e", b"E"), name) for name in FILES if name not in EMPTY and name != "key.pem"),
        *((_edit(name, b"[]", b"[ ]"), name) for name in EMPTY),
        (_edit("manifest.json", b'"bytes"', b'"Bytes"'), "manifest.json"),
        (lambda folder: (folder / "plans.jsonl").unlink(), "plans.jsonl"),
        (lambda folder: (folder / "more.txt").touch(), "more.txt"),
        (lambda folder: (folder / "key.pem").write_text(OTHER.public.pem), "key.pem"),
    ],
)
def test_any_edit_of_the_folder_is_named(
    firm: sa.Engine, tmp_path: Path, tamper: Callable[[Path], None], named: str
) -> None:
    folder = written(exported(firm, checkpoint(firm, 10)), tmp_path / "e")
    tamper(folder)
    with pytest.raises(EvidenceBroken) as broken:
        check(folder, KEYS)
    assert named in broken.value.message


def test_a_folder_signed_anew_with_another_key_is_refused(firm: sa.Engine, tmp_path: Path) -> None:
    desk = Desk(firm, VirtualClock(AS_OF), rows.estate())
    folder = written(EvidenceExport(desk, OTHER).export(EVE, CONTRACT), tmp_path / "e")
    assert check(folder, {}).key_id == OTHER.public.id
    with pytest.raises(EvidenceBroken, match="not with the one given"):
        check(folder, KEYS)
