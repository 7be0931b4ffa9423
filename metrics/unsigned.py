"""Contracts of which a signature or an amendment came that nobody could read: open cases from their receipt.

One contract is one case, whatever came of it. Of which legal entity it is, its contract says when there is one; as all
facts do, it says so as it was known at the moment that was asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from metrics.asking import By
from metrics.source import Source, chosen

# Of both kinds and by every dimension, so that all KPIs of a page are told by one statement.
_ROWS: Final = f"""
    SELECT f.*, CAST(extract(epoch FROM :as_of - f.recorded_at) AS bigint) AS open_s,
           metrics.worked(f.legal_entity, :as_of) - metrics.worked(f.legal_entity, f.recorded_at) AS open_work_s
    FROM (
        SELECT k.kind, k.recorded_at, coalesce(v.legal_entity, '') AS legal_entity,
               coalesce(v.service_line, '') AS service_line, coalesce(v.geography, '') AS geography,
               coalesce(v.billing, '') AS billing,
               CAST(date_trunc('week', k.recorded_at, :zone) AT TIME ZONE :zone AS date) AS period
        FROM (
            SELECT source, external_id, min(recorded_at) AS recorded_at,
                   min(recorded_at) FILTER (WHERE strpos(type, 'amended') > 0) AS amended_at
            FROM core.quarantine
            WHERE signature AND recorded_at <= :as_of AND coalesce(released_at, 'infinity') > :as_of
              AND coalesce(dismissed_at, 'infinity') > :as_of
            GROUP BY source, external_id, CASE WHEN external_id IS NULL THEN quarantine_id END
        ) AS q LEFT JOIN core.contract AS c USING (source, external_id)
             LEFT JOIN metrics.contract_fact AS v ON v.contract_id = c.contract_id AND {{valid}}
             CROSS JOIN LATERAL (VALUES ('contract', CASE WHEN v.signed_at IS NULL THEN q.recorded_at END),
                 ('amendment', q.amended_at)) AS k(kind, recorded_at)
        WHERE NOT coalesce(v.test, false) AND k.recorded_at IS NOT NULL
    ) AS f WHERE {chosen("f")} AND f.period >= :start AND f.period < :end
"""


@dataclass(frozen=True, slots=True)
class Unread:
    """Ages in seconds, one each."""

    open_s: tuple[int, ...] = ()
    open_work_s: tuple[int, ...] = ()


def contracts(source: Source, by: By | None) -> dict[str, Unread]:
    """By group; of contracts that are not known to be signed, by the week of the receipt."""
    return dict(_read(source, "contract", by))


def amendments(source: Source, by: By | None) -> dict[str, Unread]:
    """By group; of contracts with an amendment that nobody could read."""
    return dict(_read(source, "amendment", by))


def _read(source: Source, kind: str, by: By | None) -> Iterator[tuple[str, Unread]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for row in source.run(_ROWS.format(valid=source.valid("v"))):
        if row.kind == kind:
            found.setdefault(_group(row, by), []).append((max(int(row.open_s), 0), max(int(row.open_work_s), 0)))
    for group, ages in found.items():
        ages.sort()
        yield group, Unread(tuple(age[0] for age in ages), tuple(age[1] for age in ages))


def _group(row: sa.Row[Any], by: By | None) -> str:
    if by is None or by is By.LABEL:
        return ""
    return str(row.period if by is By.WEEK else getattr(row, by))
