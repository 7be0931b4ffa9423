"""The forecast against the plain way: apply what had been recorded, event by event, and add up."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.metrics.billing import scheduled
from tests.metrics.plans import Plans


@pytest.fixture
def plans(database: sa.Engine) -> Plans:
    return Plans(database)


_KEYS = st.sampled_from(["a", "b", "c"])
_MILESTONE = st.tuples(_KEYS, st.integers(1, 99), st.integers(0, 120))  # key, amount, day after the first of May
_EVENT = st.tuples(
    st.sampled_from(["signed", "amended", "corrected", "terminated"]), st.integers(0, 100),
    st.lists(_MILESTONE, max_size=3, unique_by=lambda m: m[0]), st.lists(_KEYS, max_size=1),
)  # fmt: skip


def _expected(events: Sequence[tuple[int, str, int, list[tuple[str, int, int]], list[str]]], month: date) -> Decimal:
    """The plain way: apply what had been recorded, in the order of the fold, and add up."""
    begins = datetime(month.year, month.month, 1, tzinfo=ZoneInfo("Europe/London"))
    known = [e for e in events if _recorded(e[2]) < begins]
    parts: dict[str, tuple[int, int]] | None = None
    ended = False
    for _, what, _, milestones, removed in sorted(known, key=_fold_order):
        if what == "signed" and parts is not None and not ended:
            continue  # published again: what was agreed stands
        if what == "signed":
            parts, ended = {key: (amount, due) for key, amount, due in milestones}, False
        elif what == "terminated":
            ended = True
        elif parts is not None:
            parts |= {key: (amount, due) for key, amount, due in milestones}
            parts = {key: part for key, part in parts.items() if key not in removed}
    if parts is None or ended:
        return Decimal(0)
    due = {key: date(2026, 5, 1) + timedelta(days=after) for key, (_, after) in parts.items()}
    return Decimal(sum(a for key, (a, _) in parts.items() if due[key].replace(day=1) == month))


def _fold_order(event: tuple[int, str, int, list[tuple[str, int, int]], list[str]]) -> tuple[int, int, int]:
    number, what = event[0], event[1]
    return (1, 1, number) if what == "corrected" else (number, 0, number if what == "amended" else 0)


def _recorded(after: int) -> datetime:
    return datetime(2026, 4, 20, 12, tzinfo=UTC) + timedelta(days=after)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(_EVENT, min_size=1, max_size=5))
def test_it_is_what_applying_the_events_one_by_one_gives(
    plans: Plans, drawn: list[tuple[str, int, list[tuple[str, int, int]], list[str]]]
) -> None:
    with plans.engine.connect() as conn:
        name = f"P-{conn.scalar(sa.text('SELECT count(*) FROM core.contract'))}"
    plans.contract(name)
    events = []
    for number, (what, after, milestones, removed) in enumerate([("signed", 0, [("a", 7, 40)], []), *drawn], 1):
        removing = removed if what in ("amended", "corrected") else []
        events.append((number, what, after, milestones if what != "terminated" else [], removing))
        _add(plans, name, *events[-1])
    plans.refresh()
    held = plans.planned()
    for month in (date(2026, n, 1) for n in range(5, 10)):
        assert held.get((name, str(month)), Decimal(0)) == _expected(events, month), (month, events)


def _add(
    plans: Plans, name: str, number: int, what: str, after: int, milestones: list[tuple[str, int, int]],
    removed: list[str],
) -> None:  # fmt: skip
    listed = [(key, str(amount), str(date(2026, 5, 1) + timedelta(days=due))) for key, amount, due in milestones]
    more: dict[str, object] = {}
    if what == "corrected":
        more["overrides"] = 1
    if what == "amended":
        more["amendment"] = {"number": number, "executed_at": "2026-05-01T00:00:00Z"}
    scheduled(plans.engine, name, what, number, str(_recorded(after).date()), listed, removed=removed, **more)
