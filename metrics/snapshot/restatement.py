"""What says something else of a week than when it was first reported, and which fact of which contract did it.

Late knowledge restates, and so does a release that measures otherwise; the two are told apart
(metrics/snapshot/corrected.py). A measure is held against what was its headline: where a week has too few cases, that
of four weeks; where that reads otherwise, the contracts of all four are listed that moved what it is made of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from metrics.asking import Ask, Window
from metrics.catalog import kpis
from metrics.facts import facts
from metrics.facts.fact import DIMENSIONS, Fact
from metrics.kpi import Answer, Kpi, Span
from metrics.measures import result_of
from metrics.pooling import four_weeks, too_few
from metrics.snapshot import wording
from metrics.snapshot.content import Anew, Moved, Restated, Restatement
from metrics.snapshot.corrected import ANEW, NOW, OF, THEN, Corrected, News, news
from metrics.snapshot.restated_numbers import restated_numbers
from metrics.source import Source
from sync_core.errors import InvalidMoney

MOST_CONTRACTS: Final = 2_000  # listed of each fact, of late news and of what was measured anew each; all are counted
_OF_MONTHS: Final = frozenset({"invoice", "schedule"})  # facts of measures that a week has too few of
# Derived from other fields of the same row, in seconds or weeks: the field they come from is listed.
_DERIVED: Final = frozenset({"period"})

# `earlier` and `later` are the versions of the contracts of which something came to be known; `moved` those of them
# whose contributions to the week are no longer the same, or whose open cases begin at another moment. `wide` are
# measures that are told of more than the others, each since when; `ageing` those that count open cases.
_MOVED: Final = """
    WITH earlier AS MATERIALIZED (SELECT f.* FROM {table} AS f WHERE {of} AND {then}),
    later AS MATERIALIZED (SELECT f.* FROM {table} AS f WHERE {of} AND {now}),
    moved AS MATERIALIZED (
        SELECT d.contract_id, array_agg(DISTINCT d.measure ORDER BY d.measure) AS measures FROM (
            SELECT f.contract_id, x.measure
            FROM (SELECT 1 AS sign, later.* FROM later UNION ALL SELECT -1, earlier.* FROM earlier) AS f
                 CROSS JOIN {contributions}
                 LEFT JOIN unnest(CAST(:wide AS text[]), CAST(:wide_from AS date[])) AS w(measure, start)
                 ON w.measure = x.measure
            WHERE x.period >= least(w.start, CAST(:begins AS date)) AND x.period < :end
            GROUP BY f.contract_id, {dimensions}, x.measure, x.period, x.label, x.bucket
            HAVING sum(f.sign * x.n) <> 0 OR sum(f.sign * x.amount) <> 0
                OR x.measure = ANY(CAST(:ageing AS text[])) AND sum(f.sign * ({clock})) <> 0
        ) AS d GROUP BY d.contract_id
    ), listed AS MATERIALIZED (SELECT * FROM moved ORDER BY contract_id LIMIT :most)
    SELECT m.contract_id, c.external_id, c.source, m.measures, (SELECT count(*) FROM moved) AS contracts,
           v.before, v.after, v.known_from
    FROM listed AS m JOIN core.contract AS c ON c.contract_id = m.contract_id
         CROSS JOIN LATERAL (
             SELECT to_jsonb(a) AS before, to_jsonb(b) AS after, coalesce(b.known_from, a.known_to) AS known_from
             FROM (SELECT * FROM earlier WHERE earlier.contract_id = m.contract_id) AS a
             FULL JOIN (SELECT * FROM later WHERE later.contract_id = m.contract_id) AS b ON {same}
         ) AS v
    ORDER BY m.contract_id, v.before, v.after
"""


def restatement(week: Source, *, quarter: Window, since: datetime | None) -> Restatement:
    """Of the week's headlines, each of the weeks that it is of: what has come to be known since an earlier moment of
    how things were at that moment. States are as they were known at the end of the week, and stay.

    Cheap without one.
    """
    if since is None:
        return Restatement(None)
    found = news(week, since)
    held = [_Held(kpi, week, quarter, found) for kpi in kpis().values() if kpi.definition.span is not Span.STATE]
    restated = tuple(one for each in held for one in each.restated())
    of_late = {one.slug for one in restated if one.by_contracts}
    of_anew = {one.slug for one in restated if one.by_release}
    wide, wide_anew = (_Wide.of(held, some, week=week.ask.window, quarter=quarter) for some in (of_late, of_anew))
    late = [_moved(week, fact, found, wide, anew=False) for fact in facts().values()]
    anew = [_moved(week, fact, found, wide_anew, anew=True) for fact in facts().values()]
    rows = sorted((row for one in (*late, *anew) for row in one.rows),
                  key=lambda row: (row.contract_id, row.fact, row.key, row.what))  # fmt: skip
    changes = tuple(restated_numbers(week, since)) if any(one.by_stated for one in restated) else ()
    contracts, complete = _counted(late)
    told = Restatement(since, restated, tuple(rows), changes, contracts, complete)
    if found.anew_at is None:
        return told
    return replace(told, anew=Anew(found.anew_at, found.why, found.release, *_counted(anew)))


def _counted(found: Sequence["_Found"]) -> tuple[int, bool]:
    """How many contracts moved, and whether all of them are listed; else at least so many."""
    complete = all(one.contracts <= MOST_CONTRACTS for one in found)
    contracts = {row.contract_id for one in found for row in one.rows}
    return len(contracts) if complete else max(one.contracts for one in found), complete


# ---- the headlines, then and with the news --------------------------------------------------------------------------


class _Held:
    """One measure of the week: what its headline was, and what it would have been with what is known since."""

    def __init__(self, kpi: Kpi[Any], week: Source, quarter: Window, found: News) -> None:
        self.kpi, self._week, self._quarter, self._news = kpi, week, quarter, found
        self.windows: set[Window] = set()  # that the headline is of, then and now
        self._was, self._is = self._headline(), self._headline(late=True, anew=True, numbers=True)

    def _headline(self, *, late: bool = False, anew: bool = False, numbers: bool = False) -> tuple[Answer, str]:
        """With the news that are named; `numbers` are baselines, assumptions and rates."""

        def source(window: Window) -> Source:
            if not late:
                return Source(self._week.conn, Ask(window, self._news.since), estate=self._week.estate)
            ask = Ask(window, self._week.ask.as_of)
            return Corrected(self._week, ask, self._news, stated_then=not numbers, anew=anew)

        def of(window: Window) -> Answer:
            self.windows.add(window)
            return result_of(self.kpi, source(window), None).answer

        if self.kpi.definition.span is Span.QUARTER:
            return of(self._quarter), Span.QUARTER.value
        answer, window = of(self._week.ask.window), self._week.ask.window
        if too_few(answer) and (pooled := of(four_weeks(window))).n:
            return pooled, wording.FOUR_WEEKS
        return answer, Span.WEEK.value

    def restated(self) -> Iterator[Restated]:
        """What reads otherwise, and by what: a difference that no printed digit shows is none."""
        was, is_now = self._read(self._was), self._read(self._is)
        if was == is_now:
            return
        facts_alone = self._read(self._headline(late=True, anew=True))
        late_alone = self._read(self._headline(late=True)) if self._news.anew else facts_alone
        (before, of_before), (after, of) = self._was, self._is
        yield Restated(
            self.kpi.definition.slug, before.value, after.value, before.n, after.n, was != late_alone,
            facts_alone != is_now, late_alone != facts_alone, of_before, of,
        )  # fmt: skip

    def _read(self, told: tuple[Answer, str]) -> tuple[str, int, str]:
        answer, of = told
        currency = self._week.estate.group.reporting_currency
        return wording.shown(answer.value, self.kpi.definition.unit, currency), answer.n, of

    @property
    def measures(self) -> frozenset[str]:
        """That it is made of; ages of open cases are read of the facts themselves."""
        needed = {measure for need in self.kpi.needs(None) for measure in need.measures}
        return frozenset(needed).union(*(facts()[name.partition(".")[0]].ageing for name in needed))


@dataclass(frozen=True, slots=True)
class _Wide:
    """Since when what moved is looked for: the week, unless a headline is of more."""

    week: date
    by_fact: Mapping[str, date]
    by_measure: Mapping[str, date]

    @classmethod
    def of(cls, held: Sequence[_Held], restated: set[str], *, week: Window, quarter: Window) -> "_Wide":
        """Of four weeks and of thirteen what a headline that reads otherwise is made of, open cases too; what belongs
        to a month always of thirteen.
        """
        by_measure: dict[str, date] = {}
        for one in held:
            if one.kpi.definition.slug in restated:
                first = min(window.start for window in one.windows)
                by_measure |= {name: min(by_measure.get(name, first), first) for name in one.measures}
        return cls(week.start, dict.fromkeys(_OF_MONTHS, quarter.start), by_measure)


# ---- the contracts that did it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    contracts: int
    rows: Sequence[Moved]


def _moved(source: Source, fact: Fact, found: News, wide: _Wide, *, anew: bool) -> _Found:
    """Those of late news, or those that were measured anew."""
    if not (found.anew if anew else found.late):
        return _Found(0, ())
    rows = source.run(
        _statement(fact, anew=anew), **fact.values, **found.binds, most=MOST_CONTRACTS,
        begins=wide.by_fact.get(fact.name, wide.week), wide=list(wide.by_measure),
        wide_from=list(wide.by_measure.values()), ageing=sorted(fact.ageing),
    )  # fmt: skip
    listed = [moved for row in rows for moved in _of_row(fact, row, anew=anew)]
    return _Found(int(rows[0].contracts) if rows else 0, listed)


def _statement(fact: Fact, *, anew: bool) -> str:
    return _MOVED.format(
        table=fact.table,
        contributions=fact.contributions,
        of=OF.format("f", "anew" if anew else "late"),
        then=THEN.format("f"),
        now=(ANEW if anew else NOW).format("f"),
        clock=fact.clock,
        dimensions=", ".join(f"f.{name}" for name in DIMENSIONS),
        same=" AND ".join(f"a.{name} = b.{name}" for name in fact.key),
    )


def _of_row(fact: Fact, row: Any, *, anew: bool) -> list[Moved]:
    """One for each field that differs; one without a field where the fact is new or no longer true."""
    before: Mapping[str, object] | None = row.before
    after: Mapping[str, object] | None = row.after
    one = after or before or {}
    parts = [str(one[name]) for name in fact.key if name != "contract_id"]

    def moved(what: str, was: str, is_now: str) -> Moved:
        return Moved(
            fact.name, row.contract_id, row.external_id, str(one["legal_entity"]), " ".join(parts), row.known_from,
            what, was, is_now, tuple(row.measures), anew,
        )  # fmt: skip

    if before is None or after is None:
        return [moved("", "" if before is None else "was counted", "" if after is None else "is counted")]
    differ = [name for name in fact.columns if before[name] != after[name]]
    changed = [name for name in differ if not _derived(name)]  # none: other opening hours, for one
    return [moved(name, _told(fact, name, before), _told(fact, name, after)) for name in changed or differ]


def _derived(name: str) -> bool:
    return name in _DERIVED or name.endswith("_s")


def _told(fact: Fact, name: str, version: Mapping[str, object]) -> str:
    """An amount with the currency that it had in that version."""
    value = version[name]
    if value is None:
        return ""
    if name in fact.money:
        return _amounts(value, str(version["currency"]))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _amounts(value: object, currency: str) -> str:
    listed = value if isinstance(value, list) else [value]
    return "; ".join(_amount(Decimal(str(one)), currency) for one in listed if one is not None)


def _amount(exact: Decimal, currency: str) -> str:
    try:
        return f"{wording.amount_of(exact, currency):,f} {currency}"
    except InvalidMoney:  # nobody could read its currency
        return f"{exact:,f} {currency}".strip()
