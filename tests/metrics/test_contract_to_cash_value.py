"""Contract to cash of any lives, signed on any day, so that censoring tells: against plain counting of raw rows."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Filters
from metrics.kpi import Answer
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.metrics.by_hand import ZONES, percentile
from tests.metrics.flow_rows import ESTATE, WINDOW, Made, made, said
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case, insert

TODAY = rows.NOW.date()
HOUR = timedelta(hours=1)
HAND_OFFS = ("active", "billable", "invoice", "payment")
_numbers = count(1)


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


def _days(low: int, high: int) -> st.SearchStrategy[int | None]:
    return st.one_of(st.none(), st.integers(low, high), st.integers(low, high))


# Signed so many hours ago, active and touched so many hours after, due, invoiced and paid so many days after.
_LIFE = st.tuples(
    st.integers(30, 2400), _days(0, 600), st.integers(-5, 60), _days(-3, 70), _days(0, 80),
    st.sampled_from(["issued", "issued", "issued", "paid", "cancelled"]), st.sampled_from([False, False, False, True]),
    st.sampled_from(["GB01", "US01"]),
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(["correction", "exception", "decision"])), max_size=2),
)  # fmt: skip
_Life = tuple[int, int | None, int, int | None, int | None, str, bool, str, list[tuple[int, str]]]


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(lives=st.lists(_LIFE, min_size=22, max_size=32))
def test_any_lives_give_what_plain_counting_gives(database: sa.Engine, clock: VirtualClock, lives: list[_Life]) -> None:
    """Examples stay in the database: each has a service line of its own."""
    line = f"line {next(_numbers)}"
    for life in lives:
        _add(database, line, life)
    caught_up(database, clock, ESTATE)
    chosen = Filters(service_line=frozenset({line}))
    answer = Measures(database, clock=clock, estate=ESTATE).kpi("contract-to-cash", Ask(WINDOW, filters=chosen)).answer
    _agrees(answer, _counted(database, line))


def _add(engine: sa.Engine, line: str, life: _Life) -> None:
    ago, active, due, invoice, payment, status, ended, entity, touches = life
    signed = rows.NOW - ago * HOUR
    at = None if active is None else min(signed + active * HOUR, rows.NOW)
    contract = made(engine, signed, at, entity=entity, service_line=line, bill_on=signed.date() + timedelta(days=due),
                    **({"state": "ended"} if ended else {}))  # fmt: skip
    said(engine, contract, "approved", signed, revision=1, approval="approved")  # news, so it is measured
    for kind, days, statuses in (
        ("invoice", invoice, ("issued", status)), ("payment", payment, ("received",)),
    ):  # fmt: skip
        on = None if days is None else signed.date() + timedelta(days=days)
        if on is not None and on <= TODAY:
            _booked(engine, contract, kind, on, statuses)
    for place, (after, kind) in enumerate(touches):
        _touched(engine, contract, kind, place, min(signed + after * HOUR, rows.NOW))


def _booked(engine: sa.Engine, contract: Made, kind: str, on: date, statuses: tuple[str, ...]) -> None:
    ref = f"{kind}-{next(_numbers)}"
    for status in statuses:
        insert(engine, "financial_fact", system="cloud", kind=kind, ref=ref, project_key=f"crm/{contract.external_id}",
               contract_id=contract.contract_id, amount=Decimal(10), currency="GBP", status=status, occurred_on=on,
               recorded_at=rows.NOW)  # fmt: skip


def _touched(engine: sa.Engine, contract: Made, kind: str, place: int, at: datetime) -> None:
    """A decision ends an exception that was opened with it: two touches."""
    if kind == "correction":
        said(engine, contract, "corrected", at, revision=2 + place, overrides=1, changes={})
        return
    case_id = add_case(engine, contract.contract_id, f"cause_{place}")
    for what in ("opened", "decided") if kind == "decision" else ("opened",):
        insert(engine, "case_history", case_id=case_id, what=what, function="tax",
               actor="pat@example.com" if what == "decided" else "tieline", occurred_at=at, recorded_at=at)  # fmt: skip


@dataclass
class Counted:
    """One contract: its days, and its touches by the hand-off before which they came."""

    signed: date
    active: date | None
    billable: date | None
    invoice: date | None
    payment: date | None
    ended: bool
    touches: Counter[str]

    @property
    def lost(self) -> bool:
        return self.ended and self.invoice is None and self.payment is None


def _read(engine: sa.Engine, sql: str) -> list[dict[str, Any]]:
    with engine.connect() as conn:
        return [dict(row._mapping) for row in conn.execute(sa.text(sql))]


def _counted(engine: sa.Engine, line: str) -> list[Counted]:
    facts = _read(engine, "SELECT * FROM core.financial_fact ORDER BY seq")
    corrections = _read(engine, "SELECT * FROM core.event WHERE type LIKE '%.corrected.v1'")
    steps = _read(engine, "SELECT * FROM core.case_history JOIN core.case USING (case_id)")
    found = []
    for contract in _read(engine, "SELECT * FROM core.contract"):
        if contract["service_line"] != line:
            continue
        own = {row["ref"]: row for row in facts if row["contract_id"] == contract["contract_id"]}
        touched = [row["recorded_at"] for row in corrections if row["external_id"] == contract["external_id"]]
        touched += [row["occurred_at"] for row in steps if row["contract_id"] == contract["contract_id"]]
        found.append(_one(contract, list(own.values()), touched))
    return found


def _one(contract: dict[str, Any], booked: list[dict[str, Any]], touched: list[datetime]) -> Counted:
    zone = ZoneInfo(ZONES[contract["legal_entity"]])
    at = contract["first_active_at"]
    active = None if at is None else at.astimezone(zone).date()
    invoices = [row for row in booked if row["kind"] == "invoice" and row["status"] != "cancelled"]
    paid = [row for row in booked if row["kind"] == "payment"] or [row for row in invoices if row["status"] == "paid"]
    one = Counted(
        contract["signed_at"].astimezone(zone).date(), active,
        None if active is None else max(active, contract["bill_on"]),
        min((row["occurred_on"] for row in invoices), default=None),
        min((row["occurred_on"] for row in paid), default=None), contract["state"] == "ended", Counter(),
    )  # fmt: skip
    for moment in touched:
        day = moment.astimezone(zone).date()
        if at is None or moment <= at:
            one.touches["active"] += 1
        elif one.payment is not None and day > one.payment:
            continue  # it brought no money any more
        elif one.invoice is not None and day > one.invoice:
            one.touches["payment"] += 1
        else:
            assert one.billable is not None
            one.touches["invoice" if day > one.billable else "billable"] += 1
    return one


_Days = Callable[[Counted], date | None]
# From which day to which, and what still waits for the later one.
_TIMES: dict[str, tuple[_Days, _Days, Callable[[Counted], bool]]] = {
    "active": (lambda c: c.signed, lambda c: c.active, lambda c: c.active is None),
    "billable": (lambda c: c.active, lambda c: c.billable, lambda c: False),
    "invoice": (lambda c: c.billable, lambda c: c.invoice, lambda c: c.invoice is None and c.payment is None),
    "payment": (lambda c: c.invoice, lambda c: c.payment, lambda c: c.payment is None),
    "": (lambda c: c.signed, lambda c: c.payment, lambda c: c.payment is None),
}


def _agrees(answer: Answer, found: list[Counted]) -> None:
    kept = [one for one in found if not one.lost]
    assert (answer.n, answer.n_open) == (len(kept), sum(one.payment is None for one in kept))
    assert answer.excluded == {"ended before its first invoice": len(found) - len(kept), "test contract": 0}
    for name, (start, end, waits) in _TIMES.items():
        took, waited = [], []
        for one in kept:
            first, last = start(one), end(one)
            if first is not None and last is not None:
                took.append(max((last - first).days, 0))
            elif first is not None and waits(one) and first <= TODAY:
                waited.append((TODAY - first).days)
        prefix = f"{name}_" if name else ""
        for key, share in (("p50", 0.5), ("p90", 0.9)):
            assert answer.figure(f"{prefix}{key}").value == percentile(took, waited, share), (name, key)
        if name:
            assert answer.figure(f"{name}_waiting").value == len(waited), name
        else:
            assert answer.value == answer.figure("p50").value
            assert answer.figure("naive_p50").value == percentile(took, [], 0.5)
    for name in HAND_OFFS:
        touches = answer.figure(f"{name}_touches")
        assert touches.value == sum(one.touches[name] for one in found), name
        assert touches.note == f"on {sum(one.touches[name] > 0 for one in found)} contracts"
    paid = sum(one.payment is not None for one in found)
    billed = sum(one.payment is not None or one.invoice is not None for one in found)
    active = sum((one.payment or one.invoice or one.active) is not None for one in found)
    reached = [answer.figure(f"reached_{stage}").value for stage in ("signed", "active", "invoiced", "paid")]
    assert reached == [len(found), active, billed, paid]
