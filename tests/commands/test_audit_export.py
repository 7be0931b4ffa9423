"""The audit as a file: what the actor may see and no formula, audited itself, refused where it would lack rows."""

from datetime import UTC, datetime

import orjson
import pytest
import sqlalchemy as sa

from sync_core.audit import audit
from sync_core.authority import Forbidden, person
from sync_core.clock import VirtualClock
from sync_core.commands import audit_export
from sync_core.commands.audit_export import AuditExport, Format
from sync_core.commands.desk import Desk, InvalidInput
from sync_core.reads import AuditFilter
from tests.rows import estate

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
EVE = person("eve@example.com", ["auditor"])
LIMITED = person("eve@example.com", ["auditor@GB01"])


@pytest.fixture
def export(database: sa.Engine) -> AuditExport:
    """Over three rows: of GB01, of DE01 and of no entity."""
    with database.begin() as conn:
        entries = [
            audit.Entry("exception.comment", "exception 1", '=HYPERLINK("x")', None, "GB01", detail={"b": "ü", "a": 1}),
            audit.Entry("exception.comment", "exception 2", "plain", None, "DE01"),
            audit.Entry("session.begin", "sign-in"),
        ]
        audit.append(conn, EVE, entries, now=NOW)
    return AuditExport(Desk(database, VirtualClock(NOW), estate()))


def test_csv_holds_all_columns_and_no_formula(export: AuditExport) -> None:
    made = export.export(EVE, AuditFilter())
    lines = made.body.decode("utf-8-sig").split("\r\n")
    assert (made.name, made.rows, len(lines)) == ("audit-2026-11-25.csv", 3, 5)
    assert lines[0].replace('"', "").split(",")[:6] == ["id", "occurred_at", "actor", "actor_kind", "roles", "action"]
    assert '"\'=HYPERLINK(""x"")"' in lines[3]
    assert '"{""a"":1,""b"":""ü""}"' in lines[3]


def test_json_lines_hold_the_same(export: AuditExport) -> None:
    found = [orjson.loads(line) for line in export.export(EVE, AuditFilter(), form=Format.JSON_LINES).body.splitlines()]
    assert [row["id"] for row in found] == [3, 2, 1]
    assert (found[2]["detail"], found[2]["occurred_at"]) == ({"a": 1, "b": "ü"}, "2026-11-25T09:00:00Z")


def test_it_is_within_reach_and_audited(export: AuditExport, database: sa.Engine) -> None:
    assert export.export(LIMITED, AuditFilter(action="exception.")).rows == 1
    with pytest.raises(Forbidden):
        export.export(person("cfo@example.com", ["executive"]), AuditFilter())
    with database.connect() as conn:
        row = conn.execute(sa.text("SELECT action, subject, items, detail FROM core.audit WHERE id = 4")).one()
        assert conn.scalar(sa.text("SELECT max(id) FROM core.audit")) == 4
    assert (row.action, row.subject, row.items) == ("export.audit", "1 audit row", 1)
    assert orjson.loads(row.detail) == {"asked": {"action": "exception."}, "format": "csv", "rows": 1}


def test_too_many_rows_are_refused_rather_than_cut(export: AuditExport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_export, "MOST", 2)
    with pytest.raises(InvalidInput, match="shorter period"):
        export.export(EVE, AuditFilter())
