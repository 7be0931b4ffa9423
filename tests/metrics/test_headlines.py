"""What numbers are compared with is the number itself, though it is read by less."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.postgres.embedded import Endpoint
from benchmarks import portfolio
from metrics import case_times, durations, reading
from metrics.asking import Ask, By, Filters, Window
from metrics.catalog import kpis
from metrics.headlines import Headlined
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests.databases import DatabaseUrls
from tests.filled import filled
from tests.metrics.support import caught_up, statements

WINDOW = Window.weeks(portfolio.NOW, "Europe/London", 13)
ASKS = {
    "all": Ask(WINDOW),
    "before": Ask(WINDOW.before()),
    "an entity": Ask(WINDOW, filters=Filters(legal_entity=frozenset({"GB01"}))),
    "a line": Ask(WINDOW, filters=Filters(service_line=frozenset({"tax"}))),
    "a few": Ask(WINDOW, filters=Filters(frozenset({"FR01"}), frozenset({"tax"}), frozenset({"AMER"}))),
    "the past": Ask(WINDOW, as_of=portfolio.NOW + timedelta(minutes=30)),
}
_LATER = timedelta(hours=1)
_CHANGED = sa.text("UPDATE core.contract SET test = true WHERE contract_id % 3 = 0")
_UNREAD = sa.text("""
    INSERT INTO core.quarantine (source, event_id, type, external_id, reason, signature, body, received_by,
                                 correlation_id, occurred_at, recorded_at)
    SELECT :source, 'u-' || n || what, 'com.tieline.contract.' || what || '.v9', 'U-' || n, 'not registered', true,
        '{}', 'webhook', 'u-' || n, :now - n * interval '1 h', :now - n * interval '1 h'
    FROM generate_series(1, 9) AS n CROSS JOIN (VALUES ('signed'), ('amended')) AS said(what)
""")


@pytest.fixture
def database_urls(server: Endpoint) -> Iterator[DatabaseUrls]:
    with filled(server, "headlines", _measured_twice) as urls:
        yield urls


def _measured_twice(owner_url: str) -> None:
    owner, clock = sa.create_engine(owner_url), VirtualClock(portfolio.NOW)
    portfolio.seed(owner, 1_500)
    with owner.begin() as conn:
        conn.execute(_UNREAD, {"source": portfolio.SOURCE, "now": portfolio.NOW})
    caught_up(owner, clock, portfolio.estate())
    clock.advance(_LATER)
    with owner.begin() as conn:
        conn.execute(_CHANGED)
        conn.execute(sa.text("INSERT INTO metrics.mark (contract_id) SELECT contract_id FROM core.contract"))
    caught_up(owner, clock, portfolio.estate())
    owner.dispose()


@pytest.fixture
def measures(database: sa.Engine) -> Measures:
    return Measures(database, clock=VirtualClock(portfolio.NOW + _LATER), estate=portfolio.estate())


def test_a_headline_is_the_value_of_its_answer(measures: Measures) -> None:
    own = [slug for slug, kpi in kpis().items() if isinstance(kpi, Headlined)]
    assert len(own) == 5
    for name, ask in ASKS.items():
        answers = measures.several(dict.fromkeys(kpis()), ask)
        headlines = measures.headlines(kpis(), ask)
        assert headlines == {slug: one.answer.value for slug, one in answers.items()}, name
    assert None not in measures.headlines(own, ASKS["all"]).values()
    assert None not in measures.headlines(["stuck-money", "cycle-time"], ASKS["the past"]).values()


@pytest.mark.parametrize("most", [0, 30, 120])
def test_it_is_so_where_cases_are_too_many_to_be_read_one_by_one(
    measures: Measures, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    for module in (durations, reading, case_times):
        monkeypatch.setattr(module, "EXACT_UP_TO", most)
    for name, ask in ASKS.items():
        answers = measures.several(dict.fromkeys(kpis()), ask)
        assert measures.headlines(kpis(), ask) == {slug: one.answer.value for slug, one in answers.items()}, name


@pytest.mark.parametrize("by", [None, By.WEEK, By.LEGAL_ENTITY], ids=str)
def test_open_cases_are_counted_in_the_buckets_of_their_ages(
    measures: Measures, database: sa.Engine, monkeypatch: pytest.MonkeyPatch, by: By | None
) -> None:
    """By the database where many have ended; here each is brought, and put into its bucket, to tell the same."""
    monkeypatch.setattr(reading, "EXACT_UP_TO", 20)
    with statements(database) as by_bucket:
        told = {name: measures.kpi("cycle-time", ask, by) for name, ask in ASKS.items()}
    monkeypatch.setattr(reading, "_open_by_bucket", reading._open_one_by_one)
    with statements(database) as one_by_one:
        assert told == {name: measures.kpi("cycle-time", ask, by) for name, ask in ASKS.items()}
    of_open = [["AS label, width_bucket(" in one for one in found] for found in (by_bucket, one_by_one)]
    assert sum(of_open[0]) >= 4
    assert not any(of_open[1])
    assert told["all"].answer.n_open


def test_headlines_take_fewer_statements_than_answers(measures: Measures, database: sa.Engine) -> None:
    own = [slug for slug, kpi in kpis().items() if isinstance(kpi, Headlined)]
    with statements(database) as brief:
        measures.headlines(own, ASKS["all"])
    with statements(database) as whole:
        measures.several(dict.fromkeys(own), ASKS["all"])
    assert len(brief) < len(whole)
