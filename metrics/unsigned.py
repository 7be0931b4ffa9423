"""Contracts of which a signature or an amendment came that nobody could read: open cases from their receipt.

One contract is one case, whatever came of it. Of which legal entity it is, its contract says when there is one; as all
facts do, it says so as it was known at the moment that was asked for.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from metrics.asking import By
from metrics.reading import group_of
from metrics.source import Source, chosen

_ROWS: Final = f"""
    SELECT {{group}} AS grp, CAST(extract(epoch FROM :as_of - f.recorded_at) AS bigint) AS open_s,
           metrics.worked(f.legal_entity, :as_of) - metrics.worked(f.legal_entity, f.recorded_at) AS open_work_s
    FROM (
        SELECT q.recorded_at, coalesce(v.legal_entity, '') AS legal_entity,
               coalesce(v.service_line, '') AS service_line, coalesce(v.geography, '') AS geography,
               coalesce(v.billing, '') AS billing,
               CAST(date_trunc('week', q.recorded_at, :zone) AT TIME ZONE :zone AS date) AS period
        FROM (
            SELECT source, external_id, min(recorded_at) AS recorded_at FROM core.quarantine
            WHERE signature AND recorded_at <= :as_of AND coalesce(released_at, 'infinity') > :as_of
              AND coalesce(dismissed_at, 'infinity') > :as_of AND {{which}}
            GROUP BY source, external_id, CASE WHEN external_id IS NULL THEN quarantine_id END
        ) AS q LEFT JOIN core.contract AS c USING (source, external_id)
             LEFT JOIN metrics.contract_fact AS v ON v.contract_id = c.contract_id AND {{valid}}
        WHERE NOT coalesce(v.test, false) AND {{still}}
    ) AS f WHERE {chosen("f")} AND f.period >= :start AND f.period < :end
"""
_AMENDED: Final = "strpos(type, 'amended') > 0"


@dataclass(frozen=True, slots=True)
class Unread:
    """Ages in seconds, one each."""

    open_s: tuple[int, ...] = ()
    open_work_s: tuple[int, ...] = ()


def contracts(source: Source, by: By | None) -> dict[str, Unread]:
    """By group; of contracts that are not known to be signed, by the week of the receipt."""
    return _read(source, by, "true", "v.signed_at IS NULL")


def amendments(source: Source, by: By | None) -> dict[str, Unread]:
    """By group; of contracts with an amendment that nobody could read."""
    return _read(source, by, _AMENDED, "true")


def _read(source: Source, by: By | None, which: str, still: str) -> dict[str, Unread]:
    found: dict[str, list[tuple[int, int]]] = {}
    sql = _ROWS.format(group=group_of(by), which=which, still=still, valid=source.valid("v"))
    for group, seconds, worked in source.run(sql):
        found.setdefault(str(group), []).append((max(int(seconds), 0), max(int(worked), 0)))
    return {group: _of(rows) for group, rows in found.items()}


def _of(rows: Iterable[tuple[int, int]]) -> Unread:
    together = sorted(rows)
    return Unread(tuple(row[0] for row in together), tuple(row[1] for row in together))
