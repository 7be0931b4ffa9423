"""What a week would have been told as at an earlier moment, with what has come to be known of it since.

Only late knowledge restates: what had happened by then and was not known yet. What has happened since, an open contract
that was activated, is no correction; nor is time that passed. What a new release made anew, because it measures
otherwise, is neither: it is told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from metrics import stated
from metrics.asking import Ask
from metrics.facts import facts
from metrics.rates import KNOWN_RATES
from metrics.source import Source

# What was not taken in yet at the first moment and is at the second, by the ids of committed transactions as refreshes
# take them in; and when it happened. What a person corrected was wrong before, too.
_CUT: Final = "(SELECT cut FROM metrics.refresh WHERE finished_at <= {0} ORDER BY finished_at DESC LIMIT 1)"
_NEW: Final = f"{{0}}.recorded_xid >= {_CUT.format(':base')} AND {{0}}.recorded_xid < {_CUT.format(':known_at')}"
_TRACES: Final = f"""
    SELECT t.contract_id, e.recorded_xid, e.occurred_at <= :base OR e.type = 'com.tieline.contract.corrected.v1' AS late
    FROM touched AS t JOIN core.contract AS c USING (contract_id) JOIN core.event AS e USING (source, external_id)
    WHERE {_NEW.format("e")}
    UNION ALL SELECT contract_id, r.recorded_xid, r.finished_at <= :base
    FROM touched JOIN core.run AS r USING (contract_id) WHERE {_NEW.format("r")}
    UNION ALL SELECT contract_id, h.recorded_xid, h.occurred_at <= :base
    FROM touched JOIN core.case AS k USING (contract_id) JOIN core.case_history AS h USING (case_id)
    WHERE {_NEW.format("h")}
    UNION ALL SELECT t.contract_id, f.recorded_xid, f.kind <> 'revenue'  -- which moves states alone, and no week
                     AND f.occurred_on < CAST(CAST(:base AS timestamptz) AT TIME ZONE :zone AS date)
    FROM core.financial_fact AS f LEFT JOIN core.crosswalk AS x
         ON x.system = f.system AND x.kind = 'project' AND x.business_key = f.project_key
         JOIN touched AS t ON t.contract_id = coalesce(f.contract_id, x.contract_id)
    WHERE {_NEW.format("f")}
"""
# Touched since, and not because of what has happened since alone: what left no trace is taken for late, too, unless
# nothing but the making anew touched it.
_FOUND: Final = f"""
    WITH touched AS MATERIALIZED (
        SELECT n.contract_id, bool_or(n.at <> ALL(CAST(:anew AS timestamptz[]))) AS news
        FROM ({{touched}}) AS n(contract_id, at) GROUP BY n.contract_id
    ), trace AS MATERIALIZED ({_TRACES}), traced AS MATERIALIZED (
        SELECT contract_id, bool_or(late) AS late, bool_or(recorded_xid < (
                   SELECT r.cut FROM metrics.refresh AS r WHERE r.at = CAST(:anew_at AS timestamptz))) AS before_anew
        FROM trace GROUP BY contract_id
    )
    SELECT t.contract_id, coalesce(x.late, t.news) AS late
    FROM touched AS t LEFT JOIN traced AS x USING (contract_id)
    WHERE coalesce(x.late, t.news) OR CAST(:anew_at AS timestamptz) IS NOT NULL AND x.before_anew IS NOT TRUE
    ORDER BY t.contract_id
"""
_TOUCHED: Final = """
    SELECT contract_id, known_from FROM {table} WHERE known_from > :base AND known_from <= :known_at
    UNION SELECT contract_id, known_to FROM {table} WHERE known_to > :base AND known_to <= :known_at
"""
_ANEW: Final = """
    SELECT r.at, r.anew, r.release FROM metrics.refresh AS r
    WHERE r.anew IS NOT NULL AND r.finished_at > :base AND r.finished_at <= :known_at ORDER BY r.at
"""
THEN: Final = "{0}.known_from <= :base AND ({0}.known_to IS NULL OR {0}.known_to > :base)"
NOW: Final = "{0}.known_from <= :known_at AND ({0}.known_to IS NULL OR {0}.known_to > :known_at)"
ANEW: Final = "{0}.known_from <= :anew_at AND ({0}.known_to IS NULL OR {0}.known_to > :anew_at)"
OF: Final = "{0}.contract_id = ANY(CAST(:{1} AS bigint[]))"
_RATES: Final = """
    SELECT DISTINCT ON (r.currency) r.currency, r.rate, r.valid_on FROM metrics.exchange_rate AS r
    WHERE r.reporting = :reporting AND r.known_from <= :known_at
      AND r.valid_on <= CAST(CAST(:base AS timestamptz) AT TIME ZONE :zone AS date)
    ORDER BY r.currency, r.valid_on DESC, r.seq DESC
"""


@dataclass(frozen=True, slots=True)
class News:
    """What has come to be known since a moment. Contracts by id: `late`, of which something had happened before;
    `anew`, which were only measured anew, as of `anew_at`.
    """

    since: datetime
    late: Sequence[int] = ()
    anew: Sequence[int] = ()
    anew_at: datetime | None = None
    why: str = ""  # release, settings (metrics/refresh.py)
    release: str = ""  # that measured anew; "" where nobody noted it

    @property
    def binds(self) -> dict[str, object]:
        return {"base": self.since, "late": list(self.late), "anew": list(self.anew), "anew_at": self.anew_at}


def news(source: Source, since: datetime) -> News:
    """Of the contracts of `source`. Two statements."""
    made_anew = source.run(_ANEW, base=since)
    last = made_anew[-1] if made_anew else None
    touched = " UNION ".join(_TOUCHED.format(table=fact.table) for fact in facts().values())
    rows = source.run(_FOUND.format(touched=touched), base=since, anew=[one.at for one in made_anew],
                      anew_at=last.at if last else None)  # fmt: skip
    late, anew = ([int(row.contract_id) for row in rows if row.late is kind] for kind in (True, False))
    if last is None:
        return News(since, late)
    why = "release" if any(one.anew == "release" for one in made_anew) else "settings"
    return News(since, late, anew, last.at, why, last.release or "")


class Corrected(Source):
    """As of an earlier moment: of the contracts with late news the versions that are known now, of all others those
    that were known then. Ages are measured against the earlier moment.
    """

    def __init__(self, now: Source, ask: Ask, found: News, *, stated_then: bool = False, anew: bool = True) -> None:
        """`stated_then`: rates, baselines and assumptions are those of the earlier moment, too. `anew`: what was only
        measured anew is as it was measured then.
        """
        self._found, self._stated_then, self._anew = found, stated_then, anew and bool(found.anew)
        super().__init__(now.conn, ask, estate=now.estate, from_versions=True)
        self.values = {**self.values, **found.binds}

    @property
    def as_of(self) -> datetime | None:
        return self._found.since

    def valid(self, alias: str = "f") -> str:
        now, then, anew_then = (condition.format(alias) for condition in (NOW, THEN, ANEW))
        late, anew = (OF.format(alias, name) for name in ("late", "anew"))
        if not self._anew:
            return f"({late} AND {now} OR NOT {late} AND {then})"
        return f"({late} AND {now} OR {anew} AND {anew_then} OR NOT ({late} OR {anew}) AND {then})"

    def run(self, sql: str, **more: object) -> Sequence[Any]:
        """A rate of a day after the earlier moment says nothing of it."""
        if self._stated_then and sql in (KNOWN_RATES, stated.KNOWN):
            more["known_at"] = self._found.since
        return super().run(_RATES if sql == KNOWN_RATES else sql, **more)
