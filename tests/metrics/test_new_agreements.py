"""A signature after an end begins a new agreement, for the measures as for the fold: also after a declined renewal."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random

import orjson
import pytest
import sqlalchemy as sa

from metrics import agreements
from metrics.asking import Ask
from metrics.facts._fold_order import FOLD_ORDER, as_agreed
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from sync_core.events import PREFIX, Event, understand
from tests import rows
from tests.folds import fold_steps
from tests.metrics.amendment_rows import DAY, HOUR, MONDAY, SIGNED, done
from tests.metrics.flow_rows import ESTATE, WINDOW, Made, amended, asked, facts, made, said
from tests.metrics.support import caught_up
from tests.sows import milestone_terms

ROWS = f"""
    SELECT c.contract_id, e.seq, split_part(e.type, '.', 4) AS what, CAST(NULL AS numeric) AS number,
           row_number() OVER (PARTITION BY c.contract_id ORDER BY {FOLD_ORDER}) AS place
    FROM core.contract AS c JOIN core.event AS e USING (source, external_id) WHERE c.contract_id = ANY(:ids)
"""
COUNTED = sa.text(f"""
    SELECT a.contract_id, count(*) FILTER (WHERE a.what = 'signed') AS signatures
    FROM ({as_agreed(ROWS, signs="r.what = 'signed'")}) AS a GROUP BY 1
""")


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@pytest.mark.parametrize(("hours", "delta"), [(23, 450), (25, 50)], ids=["on its last day", "the day after"])
def test_an_amendment_of_a_new_agreement_is_compared_with_its_own_value(
    database: sa.Engine, clock: VirtualClock, hours: int, delta: int
) -> None:
    contract = declined(database)
    anew = datetime(2026, 11, 8, tzinfo=UTC) + timedelta(hours=hours)
    said(database, contract, "signed", anew, revision=3, signed_at=anew.isoformat(), terms=agreed("500"))
    amended(database, contract, 1, MONDAY + DAY, revision=4, value=Decimal(550))
    asked(database, clock, "amendment-lag")
    assert [row["delta"] for row in facts(database, "amendment")] == [delta]


@pytest.mark.parametrize("first", [1, 2], ids=["from one", "behind the ones before"])
def test_amendments_of_a_new_agreement_are_its_own(database: sa.Engine, clock: VirtualClock, first: int) -> None:
    contract = declined(database)
    amended(database, contract, 1, SIGNED + DAY, revision=2, value=Decimal(110))
    anew = datetime(2026, 11, 10, tzinfo=UTC)
    said(database, contract, "signed", anew, revision=4, signed_at=anew.isoformat(), terms=agreed("500"))
    amended(database, contract, first, MONDAY + DAY, revision=5, value=Decimal(550), effective=date(2026, 11, 10))
    amended(database, contract, first + 2, MONDAY + DAY, revision=6, value=Decimal(560))
    days = [{"number": first, "effective_on": "2026-12-01"}]
    said(database, contract, "corrected", MONDAY + 2 * DAY, revision=7, overrides=6, changes={}, amendment_days=days)
    asked(database, clock, "amendment-lag")
    listed = sorted(facts(database, "amendment"), key=lambda row: (row["agreement"], row["number"]))
    found = [(row["agreement"], row["number"], row["delta"], row["effective_at"], row["waits"]) for row in listed]
    moved = datetime(2026, 12, 1, tzinfo=UTC)
    assert found == [(1, 1, 10, None, False), (2, first, 50, moved, False), (2, first + 2, 10, None, True)]


@pytest.mark.parametrize("synced", [False, True], ids=["open", "in the ERP"])
def test_amendments_of_one_number_are_listed_each_page_by_page(
    database: sa.Engine, clock: VirtualClock, *, synced: bool
) -> None:
    contract = declined(database)
    first, anew, second = MONDAY - 6 * DAY, datetime(2026, 11, 10, tzinfo=UTC), MONDAY + DAY
    amended(database, contract, 1, first, revision=2, value=Decimal(110))
    said(database, contract, "signed", anew, revision=4, signed_at=anew.isoformat(), terms=agreed("500"))
    amended(database, contract, 1, second, revision=5, value=Decimal(550))
    for executed in (first, second) if synced else ():
        done(database, contract, 1, executed + HOUR)
    assert asked(database, clock, "amendment-lag").answer.n == 2
    measures = Measures(database, clock=clock, estate=ESTATE)
    for ask in (Ask(WINDOW), Ask(WINDOW, as_of=clock.now())):
        pages = [measures.drill("amendment-lag", ask, limit=1)]
        while pages[-1].after is not None:
            pages.append(measures.drill("amendment-lag", ask, after=pages[-1].after, limit=1))
        listed = [row["executed_at"] for page in pages for row in page.rows]
        assert (len(listed), {*listed}) == (2, {first, second})
        assert synced or listed == [first, second], "the longest first"


@pytest.mark.parametrize("months", [9_999, 999_999_999])
def test_a_term_beyond_the_calendar_stops_no_measures(database: sa.Engine, clock: VirtualClock, months: int) -> None:
    contract = declined(database, term_months=months)
    anew = datetime(2026, 11, 10, tzinfo=UTC)
    said(database, contract, "signed", anew, revision=3, signed_at=anew.isoformat(), terms=agreed("500"))
    amended(database, contract, 1, MONDAY + DAY, revision=4, value=Decimal(550))
    asked(database, clock, "amendment-lag")
    assert [row["delta"] for row in facts(database, "amendment")] == [50]


def agreed(value: str, **changes: object) -> dict[str, object]:
    return milestone_terms(legal_entity="GB01", value=value, **changes)


def declined(engine: sa.Engine, **renewal: object) -> Made:
    """A contract of 100 that ends with 8 November, because its renewal was declined."""
    contract = made(engine, SIGNED, SIGNED + timedelta(hours=1))
    coming = {"renews_on": "2026-11-09", "automatic": True, **renewal}
    terms = agreed("100", ends_on="2026-11-08", renewal=coming)
    said(engine, contract, "signed", SIGNED, revision=1, signed_at=SIGNED.isoformat(), terms=terms)
    said(engine, contract, "renewal_declined", SIGNED + DAY, revision=2, declined_on="2026-10-11")
    return contract


def test_a_day_that_a_correction_moved_is_the_one_from_which_an_amendment_holds(
    database: sa.Engine, clock: VirtualClock
) -> None:
    contract = made(database, SIGNED, SIGNED + timedelta(hours=1))
    said(database, contract, "signed", SIGNED, revision=1, signed_at=SIGNED.isoformat(), terms={"value": "100"})
    for number in (1, 2):
        amended(database, contract, number, MONDAY, effective=date(2026, 11, 1))
    days = [{"number": 1, "effective_on": "2026-12-01"}]
    said(database, contract, "corrected", MONDAY + DAY, revision=3, overrides=3, changes={}, amendment_days=days)
    days = [{"number": 2, "effective_on": "2026-12-01"}]  # of before the amendment: it moves nothing
    said(database, contract, "corrected", MONDAY + DAY, revision=4, overrides=1, changes={}, amendment_days=days)
    asked(database, clock, "amendment-lag")
    found = {row["number"]: (row["effective_at"].date(), row["retroactive"]) for row in facts(database, "amendment")}
    assert found == {1: (date(2026, 12, 1), False), 2: (date(2026, 11, 1), True)}


@dataclass
class Life:
    """A contract that was declined, perhaps agreed otherwise, and signed again at some moment."""

    chance: Random
    entity: str

    def day(self, *, near: int = 40) -> str:
        return (date(2026, 6, 30) + timedelta(days=self.chance.randint(-near, near))).isoformat()

    def renewal(self) -> dict[str, object]:
        pick = self.chance.choice
        return {"renews_on": pick([None, self.day(), "2026-01-31"]), "automatic": pick([True, False]),
                "term_months": pick([None, 1, 6])}  # fmt: skip

    def told(self) -> list[tuple[str, dict[str, object]]]:
        pick = self.chance.choice
        terms: dict[str, object] = {"legal_entity": self.entity, "renewal": self.renewal()}
        terms["ends_on"] = pick([None, self.day()])
        first: dict[str, object] = {"signed_at": "2026-01-05T10:00:00Z", "terms": milestone_terms(**terms)}
        listed: list[tuple[str, dict[str, object]]] = [("signed", first)]
        listed += self.meanwhile(terms)
        listed.append(("renewal_declined", self.declined()))
        if self.chance.random() < 0.3:
            named = pick(["renewal", "title"])
            changes: dict[str, object] = {named: self.renewal() if named == "renewal" else "Other"}
            listed.append(amendment(1 + sum(what == "amended" for what, _ in listed), **changes))
        if self.chance.random() < 0.2:
            listed.append(("renewal_declined", self.declined()))
        if self.chance.random() < 0.1:
            listed.append(("renewal_initiated", {"initiated_on": self.day()}))
        for _ in range(pick([1, 1, 2])):
            hour = self.chance.randint(0, 23)
            data: dict[str, object] = {
                "signed_at": f"{self.day(near=60)}T{hour:02}:30:00Z",
                "terms": milestone_terms(**terms),
            }
            listed.append(("signed", data))
        return listed

    def meanwhile(self, terms: dict[str, object]) -> list[tuple[str, dict[str, object]]]:
        """What says something of the renewal, or seems to."""
        said: dict[str, object] = {"renewal": self.renewal(), "ends_on": self.day()}
        again: dict[str, object] = {"signed_at": "2026-01-05T10:00:00Z", "terms": milestone_terms(**terms | said)}
        return self.chance.choice([
            [],
            [("signed", again)],
            [("renewed", {"renewal": self.renewal()})],
            [("renewed", {"renewal": self.renewal(), "ends_on": self.day()})],
            [("corrected", {"overrides": 1, "changes": said})],
            [amendment(1, **said)],
            [amendment(2, **said)],
            [amendment(1, title="Other"), amendment(1, **said)],
        ])  # fmt: skip

    def declined(self) -> dict[str, object]:
        pick = self.chance.choice
        return {"declined_on": pick(["2026-03-01", self.day()]), "renews_on": pick([None, None, self.day()])}


def amendment(number: int, **changes: object) -> tuple[str, dict[str, object]]:
    header = {"number": number, "executed_at": "2026-02-01T00:00:00Z"}
    return "amended", {"amendment": header, "changes": changes}


def test_signatures_count_for_the_measures_as_they_do_for_the_fold(database: sa.Engine, clock: VirtualClock) -> None:
    caught_up(database, clock, ESTATE)  # the calendars of the legal entities
    wanted: dict[int, int] = {}
    stories: dict[int, list[tuple[str, dict[str, object]]]] = {}
    for seed in range(240):
        entity = ("GB01", "US01")[seed % 2]
        told = Life(Random(seed), entity).told()
        contract, events = made(database, SIGNED, entity=entity), []
        for revision, (what, data) in enumerate(told, 1):
            whole = {"contract_id": contract.external_id, "revision": revision, **data}
            said(database, contract, what, SIGNED + revision * DAY, revision=revision, **data)
            name = f"{PREFIX}{what}.v1"
            payload = understand(name, orjson.dumps(whole))
            events.append(Event("urn:x", f"e-{revision}", name, SIGNED + revision * DAY, payload))
        steps = fold_steps(events, day_at=ESTATE.day_at)
        wanted[contract.contract_id] = 1 + sum(step.begins for step in steps)
        stories[contract.contract_id] = told
    with database.connect() as conn:
        bound = {"ids": list(wanted), **agreements.known(conn, list(wanted), ESTATE)}
        needed = {name: bound[name] for name in COUNTED.compile().params}
        found = {row.contract_id: row.signatures for row in conn.execute(COUNTED, needed)}
    assert {1, 2} <= set(wanted.values())
    assert not [(stories[at], n, found[at]) for at, n in wanted.items() if n != found[at]][:3]
