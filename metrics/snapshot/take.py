"""Reads the content of a snapshot: all of it from one read-only transaction, as of the moment of one refresh."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from metrics import weeks
from metrics.asking import Ask, By, InvalidAsk, Window
from metrics.catalog import kpis
from metrics.cells import Told
from metrics.kpi import Answer, Kpi, Result, Span
from metrics.measures import result_of
from metrics.pooling import four_weeks, too_few
from metrics.snapshot.content import Content, KpiTaken, Point
from metrics.snapshot.rates_used import rates_used
from metrics.snapshot.restatement import restatement
from metrics.source import Source
from sync_core.estate.estate import Estate
from sync_core.reads.snapshot import snapshot

MOST_ROWS: Final = 5_000  # behind one number; the files say how many there are
NOT_KNOWN: Final = "not known"
_SEVEN: Final = timedelta(days=7)

# A weekly file may take its time where a page may not; texts of moments must not follow the server's zone.
_PREPARE = sa.text("""
    SELECT set_config('statement_timeout', '900s', true), set_config('TimeZone', 'UTC', true),
           set_config('idle_in_transaction_session_timeout', '900s', true)
""")
_MOMENT = sa.text("""
    SELECT (SELECT max(finished_at) FROM metrics.refresh WHERE finished_at <= :as_of) AS at,
           (SELECT min(finished_at) FROM metrics.refresh) AS first
""")


@dataclass(frozen=True, slots=True)
class _Reading:
    """One snapshot under way."""

    conn: sa.Connection
    estate: Estate
    week: date
    as_of: datetime
    told: Told = field(default_factory=Told)

    @property
    def window(self) -> Window:
        return Window(self.week, self.week + _SEVEN)

    @property
    def quarter(self) -> Window:
        return Window(self.week + _SEVEN - weeks.USUAL * _SEVEN, self.week + _SEVEN)

    def source(self, window: Window | None = None, as_of: datetime | None = None) -> Source:
        """Raises InvalidAsk for a moment before anything was measured."""
        ask = Ask(window or self.window, as_of or self.as_of)
        return Source(self.conn, ask, estate=self.estate, told=self.told)

    def end_of(self, week: date) -> datetime:
        """The moment of a state in a week's snapshot."""
        return min(weeks.end_of(week, self.estate.group.timezone), self.as_of)

    def ends(self) -> dict[date, Source]:
        """What the states of each week of the quarter are read from; of those by whose end anything was measured."""
        found = {monday: self._earlier(self.end_of(monday)) for monday in self.quarter.mondays}
        return {monday: source for monday, source in found.items() if source is not None}

    def _earlier(self, as_of: datetime) -> Source | None:
        try:
            return self.source(as_of=as_of)
        except InvalidAsk:
            return None


@contextmanager
def _reading(engine: sa.Engine) -> Iterator[sa.Connection]:
    with snapshot(engine) as conn:
        conn.execute(_PREPARE)
        yield conn


def moment_of(engine: sa.Engine, as_of: datetime) -> datetime:
    """The newest refresh at or before a moment: what was known then. Raises InvalidAsk when nothing was."""
    with engine.connect() as conn:
        row = conn.execute(_MOMENT, {"as_of": as_of}).one()
    if row.at is None:
        since = f"the first measures are of {row.first:%Y-%m-%d %H:%M} UTC" if row.first else "nothing was measured yet"
        raise InvalidAsk(f"as_of: nothing is known as of {as_of:%Y-%m-%d %H:%M} UTC; {since}")
    moment: datetime = row.at
    return moment


def take(
    engine: sa.Engine, estate: Estate, *, week: date, as_of: datetime, since: datetime | None = None,
    versions: Mapping[str, int] | None = None,
) -> Content:  # fmt: skip
    """The week (its Monday) as of a refresh. `since`: the as-of of its first snapshot since it ended, if not this one;
    `versions` of the definitions by which that was made.

    Raises InvalidAsk for a moment before anything was measured, and for a week that had not begun.
    """
    zone = estate.group.timezone
    if week > weeks.week_of(as_of, zone):
        raise InvalidAsk(f"as_of: {weeks.week_name(week)} had not begun as of {as_of:%Y-%m-%d %H:%M} UTC")
    with _reading(engine) as conn:
        one = _Reading(conn, estate, week, as_of)
        first = None if since is None or since == as_of else since
        over = weeks.end_of(week, zone) <= as_of
        told = restatement(one.source(), quarter=one.quarter, since=first)
        return Content(
            group=estate.group.name,
            week=week,
            zone=zone,
            as_of=as_of,
            data_as_of=one.source().data_as_of or as_of,
            over=over,
            reporting=estate.group.reporting_currency,
            policy=estate.rules_version,
            kpis=tuple(_kpi(one, kpi) for kpi in kpis().values()),
            rates=rates_used(one.source(), one.ends(), week=week, over=over, told=told),
            restatement=replace(told, redefined=_redefined(versions) if first and versions else {}),
        )


def _redefined(versions: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    now = {slug: kpi.definition.version for slug, kpi in kpis().items()}
    return {slug: (versions[slug], is_now) for slug, is_now in now.items() if versions.get(slug, is_now) != is_now}


def _kpi(one: _Reading, kpi: Kpi[Any]) -> KpiTaken:
    if kpi.definition.span is Span.STATE:
        return _state(one, kpi)
    source = one.source(one.quarter)
    found = result_of(kpi, source, By.WEEK if By.WEEK in kpi.definition.splits else None)
    if kpi.definition.span is Span.WEEK:
        return _weekly(one, kpi, found)
    months = tuple(_point(date.fromisoformat(month), answer) for month, answer in sorted(found.parts.items()))
    previous = result_of(kpi, one.source(one.quarter.before()), None).answer
    return _taken(kpi, source, _Past(found.answer, previous, months))


def _weekly(one: _Reading, kpi: Kpi[Any], found: Result) -> KpiTaken:
    """Cohorts of the weeks, all as of the one moment. A week with too few is told by the four weeks up to it."""
    nothing = kpi.answer(kpi.nothing(), one.source())
    by_week = {monday: found.parts.get(monday.isoformat(), nothing) for monday in one.quarter.mondays}
    shown = {monday: found.pooled.get(monday.isoformat(), week) for monday, week in by_week.items()}
    trend = tuple(
        Point(monday, shown[monday].value, week.n, week.n_open) for monday, week in by_week.items()
    )  # fmt: skip
    past = _Past(found.answer, by_week[one.week - _SEVEN], trend, bool(found.pooled))
    week = by_week[one.week]
    if too_few(week):
        four = four_weeks(one.window)
        now, before = (result_of(kpi, one.source(window), None).answer for window in (four, four.before()))
        if now.n:
            return replace(_taken(kpi, one.source(four), replace(past, previous=before)), answer=week, pooled=now)
    return _taken(kpi, one.source(), past)


def _state(one: _Reading, kpi: Kpi[Any]) -> KpiTaken:
    """As of the end of each week, as it was known then; of one that still runs, as of the snapshot."""
    measured = one.ends()
    answers = {monday: result_of(kpi, source, None).answer for monday, source in measured.items()}
    trend = tuple(
        Point(monday, answer.value, answer.n, answer.n_open, one.end_of(monday)) for monday, answer in answers.items()
    )  # fmt: skip
    if one.week not in measured:
        unknown = Answer(None, 0, why_none=f"{NOT_KNOWN}: nothing was measured yet when the week ended")
        return KpiTaken(kpi.definition, unknown, None, unknown, trend, {}, None)
    past = _Past(answers[one.week], answers.get(one.week - _SEVEN), trend)
    source = measured[one.week]
    return replace(_taken(kpi, source, past), at=one.end_of(one.week), data_as_of=source.data_as_of)


@dataclass(frozen=True, slots=True)
class _Past:
    quarter: Answer
    previous: Answer | None
    trend: tuple[Point, ...]
    pooled_trend: bool = False


def _taken(kpi: Kpi[Any], source: Source, past: _Past) -> KpiTaken:
    """Answer, legal entities and rows of one window."""
    by = By.LEGAL_ENTITY if By.LEGAL_ENTITY in kpi.definition.splits else None
    result = result_of(kpi, source, by)
    drill = kpi.drill(source, after=None, limit=MOST_ROWS) if kpi.definition.drill else None
    entities = {name: answer for name, answer in result.parts.items() if name}
    return KpiTaken(
        kpi.definition, result.answer, past.previous, past.quarter, past.trend, entities, drill,
        pooled_trend=past.pooled_trend,
    )  # fmt: skip


def _point(monday: date, answer: Answer) -> Point:
    return Point(monday, answer.value, answer.n, answer.n_open)
