"""The audit taken out as a file: CSV for a spreadsheet, JSON lines for a program. Taking it is audited itself.

The rows are those that the actor may see, newest first. More than MOST are refused rather than cut: a file of an audit
that lacks rows without anybody noticing is worse than none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import orjson

from sync_core.audit.audit import Entry, canonical
from sync_core.authority import Actor, Permission
from sync_core.commands.desk import Act, Desk, InvalidInput
from sync_core.reads.audit import AuditFilter, AuditRow, audit_listing
from sync_core.reads.export import safe_csv

if TYPE_CHECKING:
    import pandas as pd

COMMANDS: Final[Mapping[str, Permission]] = {"export": Permission.AUDIT_READ}

MOST: Final = 100_000


class Format(StrEnum):
    CSV = "csv"
    JSON_LINES = "jsonl"


@dataclass(frozen=True, slots=True)
class AuditFile:
    """CSV in UTF-8 with a byte order mark, or a JSON object a line."""

    name: str
    body: bytes
    rows: int


class AuditExport:
    """`desk` carries the command out."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def export(self, actor: Actor, wanted: AuditFilter, *, form: Format = Format.CSV) -> AuditFile:
        """Raises Forbidden, and InvalidInput when more than 100,000 rows meet the filter."""
        return self._desk.run(actor, Permission.AUDIT_READ, lambda act: export(act, wanted, form=form))


def export(act: Act, wanted: AuditFilter, *, form: Format) -> AuditFile:
    """One audit row with the filter and a root over the rows' ids and hashes."""
    reach = act.actor.entities(Permission.AUDIT_READ)
    rows = audit_listing(wanted, entities=reach).first(act.conn, MOST + 1)
    if len(rows) > MOST:
        raise InvalidInput(f"more than {MOST:,} rows meet the filter; choose a shorter period and export it in parts")
    asked = {name: value for name, value in asdict(wanted).items() if value not in ("", None)}
    detail = {"asked": asked, "format": form, "rows": len(rows)}
    named = "1 audit row" if len(rows) == 1 else f"{len(rows):,} audit rows"
    act.note(Entry("export.audit", named, detail=detail, items=[[row.id, row.hash] for row in rows]))
    body = safe_csv(_table(rows)) if form is Format.CSV else _lines(rows)
    return AuditFile(f"audit-{act.now:%Y-%m-%d}.{form}", body, len(rows))


def _table(rows: Sequence[AuditRow]) -> "pd.DataFrame":
    import pandas as pd

    columns = {name: [getattr(row, name) for row in rows] for name in AuditRow.__slots__}
    columns["detail"] = [canonical(row.detail) for row in rows]
    return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})


def _lines(rows: Sequence[AuditRow]) -> bytes:
    return b"".join(orjson.dumps(row, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE) for row in rows)
