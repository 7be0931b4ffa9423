"""The open work at the end of a history: how much, whose, how old; what was mended before, and what is mended after."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox import history
from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind
from app.sandbox.portfolio.plan import Portfolio, live, plan, sequel
from app.sandbox.portfolio.steps import Step
from app.settings import Settings
from sync_core.clock import VirtualClock
from sync_core.contract import ClauseStatus
from sync_core.errors import Function
from sync_core.estate.estate import Estate
from tests.sandbox.stories import contracts_of, play, troubles, types_of

UNTIL = datetime(2026, 11, 25, 15, tzinfo=UTC)
FUNCTIONS = {
    Function.LEGAL,
    Function.FINANCE_OPERATIONS,
    Function.TAX,
    Function.MASTER_DATA,
    Function.DELIVERY,
}


def past(estate: Estate, *, seed: int = 7, until: datetime = UNTIL, contracts: int | None = None) -> Portfolio:
    count = Settings.model_fields["demo_contracts"].default if contracts is None else contracts
    return history.portfolio_of(seed, until=until, contracts=count, estate=estate)


@pytest.mark.parametrize("seed", [7, 8])
@pytest.mark.parametrize("until", [UNTIL, datetime(2026, 10, 3, 9, tzinfo=UTC), datetime(2027, 1, 4, 7, tzinfo=UTC)])
def test_a_demo_ends_with_open_work_for_every_function_of_many_causes_and_ages(
    estate: Estate, seed: int, until: datetime
) -> None:
    portfolio = past(estate, seed=seed, until=until)
    found = troubles(portfolio)
    assert 0.12 <= len(found) / portfolio.contracts <= 0.18
    still_open = [(each, cause) for each, cause in found.values() if each.mended_at >= until]
    assert 18 <= len(still_open) <= 30
    assert {each.function for each, _ in still_open} == FUNCTIONS
    causes = Counter(cause for _, cause in still_open)
    assert len(causes) >= 7
    assert sum(times >= 3 for times in causes.values()) >= 2
    ages = sorted(until - each.opens_at for each, _ in still_open)
    assert ages[0] < timedelta(days=2)
    assert ages[-1] > timedelta(weeks=4)
    assert timedelta(days=2) < ages[len(ages) // 2] < timedelta(weeks=6)


def test_most_exceptions_were_mended_in_plausible_time_and_the_older_the_more(estate: Estate) -> None:
    found = [each for each, _ in troubles(past(estate)).values()]
    took = sorted(each.mended_at - each.opens_at for each in found if each.mended_at < UNTIL)
    assert timedelta(hours=12) < took[len(took) // 2] < timedelta(days=7)
    assert len(took) > 0.6 * len(found)

    def open_of(least_weeks: int, most_weeks: int) -> float:
        aged = [
            each
            for each in found
            if timedelta(weeks=least_weeks) <= UNTIL - each.opens_at < timedelta(weeks=most_weeks)
        ]
        return sum(each.mended_at >= UNTIL for each in aged) / len(aged)

    assert open_of(0, 3) > open_of(3, 10) > open_of(10, 27)


def test_every_owner_is_prompt_when_no_work_is_to_be_left_open(estate: Estate) -> None:
    prompt = Portfolio(7, UNTIL - timedelta(weeks=26), UNTIL, 450, estate, defect_share=0.25)
    still_open = [each for each, _ in troubles(prompt).values() if each.mended_at >= UNTIL]
    assert len(still_open) < 15
    assert all(UNTIL - each.opens_at < timedelta(weeks=12) for each in still_open)


def test_the_rest_of_the_stories_mends_what_is_open_some_of_it_within_two_hours(estate: Estate) -> None:
    portfolio = past(estate)
    before = list(plan(portfolio))
    after = sequel(portfolio, types_of(before))
    assert [step.at for step in after] == sorted(step.at for step in after)
    assert all(step.at >= UNTIL for step in after)
    mending = [step for step in after if step.repairs and step.at < UNTIL + timedelta(hours=2)]
    assert 6 <= len(mending) <= 15
    clm = play([*before, *after])
    assert all(contract.missing_amendment is None for contract in contracts_of(clm))
    rejected = [c for c in contracts_of(clm) if ClauseStatus.REJECTED in dict(c.clauses).values()]
    assert rejected == []


def test_what_was_published_is_not_told_again_and_a_changed_contract_is_left_alone(estate: Estate) -> None:
    portfolio = past(estate)
    before = list(plan(portfolio))
    after = sequel(portfolio, types_of(before))
    half = after[: len(after) // 2]
    assert changes(sequel(portfolio, types_of([*before, *half]))) == changes(after[len(half) :])
    strange = types_of(before)
    contract_id = after[0].contract_id
    strange[contract_id].append(Change(contract_id, ChangeKind.CANCELLED, {}).event_type)
    assert contract_id not in {step.contract_id for step in sequel(portfolio, strange)}


def changes(steps: list[Step]) -> list[Step]:
    return [step for step in steps if isinstance(step.action, Change)]


async def test_live_traffic_tells_the_rest_of_the_stories_and_nothing_unreadable(estate: Estate) -> None:
    portfolio = past(estate)
    before = list(plan(portfolio))
    after = sequel(portfolio, types_of(before))
    clm: SandboxClm = play(before)
    clock = VirtualClock(UNTIL + timedelta(minutes=20))
    told: list[Step] = []
    async for step in live(7, clock, rate_per_minute=10, estate=estate, defect_share=0.5, before=after):
        if clock.now() > UNTIL + timedelta(hours=2):
            break
        told.append(step)
        if isinstance(step.action, Change):
            clm.perform(step.action)
    told_of, due = {step.contract_id for step in after}, [s for s in after if s.at < UNTIL + timedelta(hours=2)]
    assert [step for step in told if step.contract_id in told_of] == due
    assert all(orjson.loads(raw)["type"].endswith(".v1") for raw in clm.store.feed[len(play(before).store.feed) :])


@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 10**6), days=st.integers(0, 400), contracts=st.integers(300, 700))
def test_any_seed_and_day_leaves_its_share_open(estate: Estate, seed: int, days: int, contracts: int) -> None:
    portfolio = past(estate, seed=seed, until=UNTIL + timedelta(days=days), contracts=contracts)
    still_open = [each for each, _ in troubles(portfolio).values() if each.mended_at >= portfolio.end]
    assert abs(len(still_open) - contracts * history.OPEN_SHARE) <= 6
    assert len({each.function for each in still_open}) >= 4
