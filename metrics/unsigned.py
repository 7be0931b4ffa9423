"""Contracts of which a signature or an amendment came that nobody could read: open cases from their receipt.

Of contracts that are not known to be signed each is one case, whatever came of it; amendments are one case each. Of
which legal entity one is, its contract says when there is one; as all facts do, it says so as it was known at the
moment that was asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from metrics import unread
from metrics.asking import By
from metrics.reading import WORKED_NOW, WORKED_NOW_S
from metrics.source import Source, chosen

# Of both kinds, by every dimension and whenever they came, so that all KPIs of a page are told by one statement.
_CASES: Final = f"""
    SELECT f.*, greatest(CAST(extract(epoch FROM :as_of - f.recorded_at) AS bigint), 0) AS open_s,
           greatest({WORKED_NOW_S} - metrics.worked(f.legal_entity, f.recorded_at), 0) AS open_work_s,
           {unread.DAY_S} AS day_s
    FROM (
        SELECT q.kind, q.quarantine_id, q.recorded_at, q.external_id AS contract, c.contract_id, c.title,
               coalesce(v.legal_entity, '') AS legal_entity,
               coalesce(v.service_line, '') AS service_line, coalesce(v.geography, '') AS geography,
               coalesce(v.billing, '') AS billing,
               CAST(date_trunc('week', q.recorded_at, :zone) AT TIME ZONE :zone AS date) AS period
        FROM (
            SELECT 'contract' AS kind, source, external_id, min(q.recorded_at) AS recorded_at,
                   min(q.quarantine_id) AS quarantine_id
            FROM core.quarantine AS q WHERE {unread.KNOWN} AND {unread.OPEN}
            GROUP BY source, external_id, CASE WHEN external_id IS NULL THEN quarantine_id END
            UNION ALL
            SELECT 'amendment', source, external_id, q.recorded_at, q.quarantine_id
            FROM core.quarantine AS q WHERE {unread.KNOWN} AND {unread.OPEN} AND strpos(q.type, 'amended') > 0
        ) AS q LEFT JOIN core.contract AS c USING (source, external_id)
             LEFT JOIN metrics.contract_fact AS v ON v.contract_id = c.contract_id AND {{valid}}
        WHERE NOT coalesce(v.test, false) AND (q.kind = 'amendment' OR v.signed_at IS NULL)
    ) AS f {WORKED_NOW} WHERE {chosen("f")}
"""
_IN_WINDOW: Final = "f.period >= :start AND f.period < :end"


@dataclass(frozen=True, slots=True)
class Unread:
    """Ages in seconds, one each."""

    open_s: tuple[int, ...] = ()
    open_work_s: tuple[int, ...] = ()
    over_a_day: int = 0  # of them, open for more than a working day


NOTHING: Final = Unread()


def contracts(source: Source, by: By | None) -> dict[str, Unread]:
    """By group; of contracts that are not known to be signed, by the week of the receipt."""
    return dict(_read(source, "contract", by))


def amendments(source: Source, by: By | None) -> dict[str, Unread]:
    """By group; each amendment that nobody could read."""
    return dict(_read(source, "amendment", by))


def contract_rows(source: Source, columns: str) -> str:
    """What metrics/drilling.py lists of `contracts`; `columns` are SQL of `f`."""
    return unread.listed(_CASES.format(valid=source.valid("v")), columns, f"f.kind = 'contract' AND {_IN_WINDOW}")


def amendment_rows(source: Source, columns: str) -> str:
    return unread.listed(_CASES.format(valid=source.valid("v")), columns, f"f.kind = 'amendment' AND {_IN_WINDOW}")


def _read(source: Source, kind: str, by: By | None) -> Iterator[tuple[str, Unread]]:
    found: dict[str, list[tuple[int, int, int]]] = {}
    for row in source.run(_CASES.format(valid=source.valid("v"))):
        if row.kind == kind and source.ask.window.start <= row.period < source.ask.window.end:
            ages = (int(row.open_s), int(row.open_work_s), int(row.day_s))
            found.setdefault(_group(row, by), []).append(ages)
    for group, alike in found.items():
        alike.sort()
        open_s, open_work_s = (tuple(age[place] for age in alike) for place in (0, 1))
        yield group, Unread(open_s, open_work_s, sum(age[1] > age[2] for age in alike))


def _group(row: sa.Row[Any], by: By | None) -> str:
    if by is None or by is By.LABEL:
        return ""
    return str(row.period if by is By.WEEK else getattr(row, by))
