"""The money of many contracts at once: all sums against a plain fold of what was told and what the crosswalk holds."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import count
from typing import Any, Final

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, By, Window
from metrics.kpi import Answer
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.money_rows import Told, amended, fact, milestone, signed, told
from tests.metrics.plain_time import Office
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case

WINDOW: Final = Window.weeks(rows.NOW, "Europe/London", 4)
CUT: Final = "2026-11-30"  # the next bill run of all entities
ZERO: Final = Decimal(0)
CENT: Final = Decimal("0.01")
RATES: Final = {"USD": Decimal(1), "EUR": Decimal("1.10"), "GBP": Decimal("1.25")}  # of tests/rows.py; none for BRL
OFFICES: Final = {
    "US01": Office("America/New_York"), "GB01": Office("Europe/London"), "DE01": Office("Europe/Berlin"),
}  # fmt: skip
DAY: Final = 510  # minutes from 9:00 to 17:30
CAUSES: Final = ("blocker", "value", "schedule")
_names = count()

_AMOUNTS = st.integers(100, 15_000).map(lambda cents: Decimal(cents) / 100)
_MILESTONES = st.lists(
    st.tuples(st.sampled_from("abc"), _AMOUNTS, st.sampled_from(["2026-11-20", CUT, "2026-12-01"])),
    max_size=3, unique_by=lambda one: one[0],
).map(lambda found: [milestone(*one) for one in found])  # fmt: skip
_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "value": _AMOUNTS.map(str), "milestones": _MILESTONES, "po_number": st.sampled_from(["PO-1", "PO-2"]),
        "remove_milestones": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Drawn:
    entity: str
    currency: str
    value: Decimal
    milestones: list[dict[str, str]]
    changes: list[dict[str, Any]]
    confirmed: int  # of its events, at most
    hours_ago: int
    billed: int
    blocked: bool
    kind: str

    def tell(self, engine: sa.Engine) -> None:
        terms = {"value": str(self.value), "currency": self.currency, "legal_entity": self.entity}
        story: list[Told] = [signed(**terms, milestones=self.milestones)]
        story += [amended(n, **changes) for n, changes in enumerate(self.changes, 1)]
        confirmed = min(self.confirmed, len(story))
        if self.kind == "test":
            story[0][1]["terms"]["test"] = True
        name = f"V-{next(_names)}"
        contract = told(
            engine,
            name,
            story,
            confirmed=confirmed,
            days_ago=self.hours_ago / 24,
            unclean_at=rows.NOW if self.kind == "unverified" else None,
        )
        if self.billed:
            fact(engine, contract, "invoice", name, self.billed, currency=self.currency)
        if self.blocked:
            add_case(engine, contract, "rate_missing", hours=5)


_DRAWN = st.builds(
    Drawn, entity=st.sampled_from(sorted(OFFICES)), currency=st.sampled_from(["USD", "EUR", "GBP", "BRL"]),
    value=_AMOUNTS, milestones=_MILESTONES, changes=st.lists(_CHANGES, max_size=3), confirmed=st.integers(0, 4),
    hours_ago=st.integers(1, 400), billed=st.integers(0, 80), blocked=st.booleans(),
    kind=st.sampled_from(["", "", "", "unverified", "test"]),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Slow:
    """One contract, worked out from its rows."""

    entity: str
    currency: str
    cause: str
    gross: Decimal
    net: Decimal
    misses: Decimal
    minutes: int
    since: datetime

    @property
    def age(self) -> str:
        return "age_0_1" if self.minutes < DAY else "age_1_3" if self.minutes < 3 * DAY else "age_3_up"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_DRAWN, min_size=1, max_size=10))
def test_any_contracts_are_worth_what_a_plain_fold_of_their_rows_gives(
    database: sa.Engine, clock: VirtualClock, drawn: list[Drawn]
) -> None:
    """The contracts of all examples add to each other."""
    for one in drawn:
        one.tell(database)
    caught_up(database, clock, rows.estate())
    sure, unsure, counts = _walked(database)
    measures = Measures(database, clock=clock, estate=rows.estate())
    result = measures.kpi("stuck-money", Ask(WINDOW), By.LEGAL_ENTITY)
    _same(result.answer, sure, unsure)
    assert (result.answer.n, result.answer.n_open) == (len(sure), len(sure) + len(unsure))
    assert result.answer.excluded == {
        "on its way, no money differs": counts["in step"], "test contract": counts["test"], "unverified": len(unsure),
    }  # fmt: skip
    for entity, part in result.parts.items():
        of_it = [[one for one in some if one.entity == entity] for some in (sure, unsure)]
        _same(part, *of_it)
    assert {one.entity for one in (*sure, *unsure)} <= set(result.parts)
    assert measures.headlines(["stuck-money"], Ask(WINDOW)) == {"stuck-money": result.answer.value}


def _same(answer: Answer, sure: list[Slow], unsure: list[Slow]) -> None:
    assert answer.value == _worth(sure, "gross")
    assert [answer.figure(key).value for key in ("gross", "net", "misses_bill_run")] == [
        _worth(sure, name) for name in ("gross", "net", "misses")
    ]
    money_days = [one for one in sure if one.currency in RATES]
    exact = sum((one.gross * RATES[one.currency] * one.minutes / DAY for one in money_days), ZERO)
    told_days = answer.figure("money_days").value
    assert told_days is None if not money_days else abs(Decimal(str(told_days)) - exact) <= CENT
    for age in ("age_0_1", "age_1_3", "age_3_up"):
        # What is of another age adds nothing, but says whether there is a rate at all.
        expected = _worth([one for one in sure if one.age == age], "gross") or ZERO
        assert answer.figure(age).value == (expected if money_days else None), age
    for cause in CAUSES:
        of_cause = [one for one in sure if one.cause == cause]
        assert answer.figure(f"cause_{cause}_contracts").value == len(of_cause), cause
        assert answer.figure(f"cause_{cause}").value == (_worth(of_cause, "gross") if of_cause else ZERO), cause
    assert (answer.figure("unverified").value or ZERO) == (_worth(unsure, "gross") or ZERO)
    assert answer.figure("unverified_contracts").value == len(unsure)
    for key, some in (("unconverted", sure), ("unverified_unconverted", unsure)):
        listed = {one.key: one.value for one in answer.figures if one.key.startswith(f"{key}_") and one.value}
        bare = [one.gross for one in some if one.currency not in RATES]
        assert listed == ({f"{key}_BRL": sum(bare, ZERO)} if bare else {})
    oldest = min((one.since for one in sure), default=None)
    age_d = None if oldest is None else (rows.NOW - oldest) / timedelta(days=1)
    assert answer.figure("oldest").value == (None if age_d is None else pytest.approx(age_d))


def _worth(some: list[Slow], name: str) -> Decimal | None:
    """Each contract converted and rounded half to even; the sum of those that have a rate, if any has."""
    rated = [(getattr(one, name), RATES[one.currency]) for one in some if one.currency in RATES]
    return sum(((amount * rate).quantize(CENT, ROUND_HALF_EVEN) for amount, rate in rated), ZERO) if rated else None


def _walked(engine: sa.Engine) -> tuple[list[Slow], list[Slow], Counter[str]]:
    """What is stuck for sure, what is unverified, and how many of the others there are."""
    sure, unsure, counts = list[Slow](), list[Slow](), Counter[str]()
    for row in _all_rows(engine):
        if not row.cases and row.state == "active" and row.unclean_at is None:
            continue
        if row.test:
            counts["test"] += 1
            continue
        found = _slow(row)
        if found.gross and row.unclean_at is not None:
            unsure.append(found)
        elif found.gross:
            sure.append(found)
        elif row.unclean_at is None:
            counts["in step"] += 1
    return sure, unsure, counts


def _all_rows(engine: sa.Engine) -> list[Any]:
    """Contracts with their events in the order of their revisions, what is held of them, and what was billed."""
    text = """
        SELECT c.contract_id, c.legal_entity, c.currency, c.state, c.test, c.unclean_at, c.signed_at, c.first_active_at,
               (SELECT json_agg(json_build_object('at', e.recorded_at, 'data', e.data)
                                ORDER BY CAST(e.data ->> 'revision' AS int))
                FROM core.event AS e WHERE e.external_id = c.external_id) AS events,
               (SELECT json_agg(json_build_object('kind', x.kind, 'fields', x.fields))
                FROM core.crosswalk AS x WHERE x.contract_id = c.contract_id) AS held,
               (SELECT coalesce(sum(amount), 0) FROM core.financial_fact AS f WHERE f.contract_id = c.contract_id)
                   AS billed,
               (SELECT min(opened_at) FROM core.case AS k WHERE k.contract_id = c.contract_id) AS cases,
               (SELECT max(started_at) FROM core.run AS r WHERE r.contract_id = c.contract_id) AS read_at
        FROM core.contract AS c ORDER BY c.contract_id"""
    with engine.connect() as conn:
        return list(conn.execute(sa.text(text)).all())


def _agreed(events: list[dict[str, Any]]) -> dict[str, Any]:
    """Terms as the last one to say so left them; a milestone that an event names and takes away is gone."""
    terms: dict[str, Any] = {}
    parts: dict[str, tuple[Decimal, str]] = {}
    for event in events:
        said = event["data"].get("terms") or event["data"]["changes"]
        terms |= said
        parts |= {one["key"]: (Decimal(one["amount"]), one["due_on"]) for one in said.get("milestones", ())}
        for key in said.get("remove_milestones", ()):
            parts.pop(key, None)
    return terms | {"parts": list(parts.values())}


def _slow(row: Any) -> Slow:
    terms, held = _agreed(row.events), defaultdict[str, list[dict[str, Any]]](list)
    for one in row.held or ():
        held[one["kind"]].append(one["fields"])
    target, began = Decimal(terms["value"]), row.first_active_at is not None
    [project] = held["project"] or [{"value": "0", "po_number": terms["po_number"]}]
    stopped = project["po_number"] != terms["po_number"] or (not began and row.cases is not None)
    due = sum((amount for amount, on in terms["parts"] if on <= CUT), ZERO)
    due_net = due - sum((Decimal(one["amount"]) for one in held["milestone"] if one["bill_on"] <= CUT), ZERO)
    unbilled = max(target - row.billed, ZERO)
    differs = {"blocker": unbilled if stopped else ZERO, "value": target - Decimal(project["value"]),
               "schedule": due_net}  # fmt: skip
    cause = max(CAUSES, key=lambda name: abs(differs[name]))  # the first of equals
    gross = abs(differs[cause])
    to_bill = max(due - row.billed, ZERO) if cause == "blocker" or not began else abs(due_net)
    since = row.signed_at
    if began:
        news = [datetime.fromisoformat(one["at"]) for one in row.events]
        since = min((at for at in news if at >= row.read_at), default=row.cases or row.read_at)
    minutes = OFFICES[row.legal_entity].minutes(since, rows.NOW)
    return Slow(row.legal_entity, row.currency, cause, gross, differs[cause], min(gross, to_bill), minutes, since)
