"""Money between what was signed and what the ERP confirmed, of random stories against the fold and a slow sum."""

from datetime import date, timedelta
from decimal import Decimal
from itertools import count

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metrics.asking import Ask, Window
from metrics.measures import Measures
from sync_core.clock import VirtualClock
from tests import rows
from tests.folds import fold
from tests.metrics.money_rows import BEFORE, Told, amended, event_of, fact, milestone, signed, told
from tests.metrics.support import caught_up
from tests.reads.handmade import add_case

WINDOW = Window.weeks(rows.NOW, "Europe/London", 4)  # the bill run of all entities is on 2026-11-30
ZERO = Decimal(0)
_NAMES = count()


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(rows.NOW)


MILESTONES = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 90), st.sampled_from(["2026-11-20", "2026-11-30", "2026-12-05"])),
    max_size=3, unique_by=lambda one: one[0],
).map(lambda found: [milestone(*one) for one in found])  # fmt: skip
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "value": st.integers(50, 150).map(str),
        "milestones": MILESTONES,
        "remove_milestones": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
        "po_number": st.sampled_from(["PO-1", "PO-2", None]),
        "tax": st.sampled_from([{"tax_code": "STD"}, {"tax_code": "STD", "exempt": True}]),
    },
)


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Told], int]:
    story: list[Told] = [signed(milestones=draw(MILESTONES))]
    number = 0
    for _ in range(draw(st.integers(0, 4))):
        changes = draw(CHANGES)
        if draw(st.booleans()):
            number += 1
            story.append(amended(number, **changes))
        else:
            story.append(("corrected", {"overrides": draw(st.integers(1, len(story))), "changes": changes}))
    return story, draw(st.integers(0, len(story)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(told_so=stories(), billed=st.integers(0, 120), blocked=st.booleans())
def test_each_contract_stands_apart_by_what_the_fold_says(
    database: sa.Engine, clock: VirtualClock, told_so: tuple[list[Told], int], billed: int, blocked: bool
) -> None:
    story, confirmed = told_so
    name = f"P-{next(_NAMES)}"
    contract = told(database, name, story, confirmed=confirmed)
    if billed:
        fact(database, contract, "invoice", name, billed)
    if blocked:
        add_case(database, contract, "rate_missing")
    caught_up(database, clock, rows.estate())
    drill = Measures(database, clock=clock, estate=rows.estate()).drill("stuck-money", Ask(WINDOW), limit=500)
    shown = {row["contract"]: row for row in drill.rows}
    row = shown.get(name)
    gross, misses = _slow(name, story, confirmed, Decimal(billed), blocked)
    assert (row["exposure"] if row else ZERO) == gross
    assert (row["misses"] if row else ZERO) == misses


def _slow(name: str, story: list[Told], confirmed: int, billed: Decimal, blocked: bool) -> tuple[Decimal, Decimal]:
    """By the engine's own fold, part by part."""
    events = [event_of(name, n, one, BEFORE + timedelta(minutes=n)) for n, one in enumerate(story)]
    agreed = fold(events).terms
    assert agreed is not None
    cut = date(2026, 11, 30)
    due = sum((m.amount for m in agreed.milestones if m.due_on <= cut), ZERO)
    if confirmed == 0:
        gross = max(agreed.value - billed, ZERO) if blocked else ZERO
        gross = max(gross, agreed.value, due)
        return gross, min(gross, max(due - billed, ZERO))
    if confirmed == len(story) and not blocked:
        return ZERO, ZERO
    held = fold(events[:confirmed]).terms
    assert held is not None
    tax = [None if one.tax.exempt else one.tax.tax_code for one in (agreed, held)]
    schedule = abs(due - sum((m.amount for m in held.milestones if m.due_on <= cut), ZERO))
    value = abs(agreed.value - held.value)
    headed = agreed.po_number != held.po_number or tax[0] != tax[1]
    stopped = max(agreed.value - billed, ZERO) if headed else ZERO
    gross = max(stopped, value, schedule)
    return gross, min(gross, max(due - billed, ZERO)) if gross == stopped and gross else min(gross, schedule)
