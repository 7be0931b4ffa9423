"""The made-up portfolio: it can be read, it adds up, it looks like a year of signing."""

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from app.sandbox.clm.app import SandboxClm
from app.sandbox.clm.changes import Change, ChangeKind, DeliveryFault, Repeat
from app.sandbox.clm.server import build
from app.sandbox.master_data import PutCustomer, required
from app.sandbox.portfolio.defects import TREATMENTS, Defect, Repair
from app.sandbox.portfolio.firms import KNOWN, known_firms
from app.sandbox.portfolio.plan import Portfolio, live, plan
from app.sandbox.portfolio.steps import Step
from sync_core.checks import contract_findings
from sync_core.clock import VirtualClock
from sync_core.contract import BillingKind, Stage, Terms
from sync_core.errors import Function
from sync_core.estate.calendar import is_working_day
from sync_core.estate.estate import Estate
from sync_core.events import SchemaUnknown, understand
from sync_core.money import Money, exponent
from tests.sandbox.stories import CONTRACTS, END, START, contracts_of, defect_of, play, signings


def test_the_demo_estate_has_every_kind_of_money_and_an_owner_for_every_function(estate: Estate) -> None:
    assert len(estate.entity) == 6
    assert len({e.country for e in estate.entity}) == len({e.currency for e in estate.entity}) == 5
    assert {exponent(e.currency) for e in estate.entity} == {0, 2, 3}
    assert set(estate.owners) == set(Function)
    assert {rule.service_line for rule in estate.revenue} > {"*"}
    for entity in estate.entity:
        assert estate.to_reporting(Money.of(1, entity.currency).amount, entity.currency, START.date())


def test_one_more_legal_entity_gives_no_customer_another_name(estate: Estate) -> None:
    oslo = replace(estate.entity[1], code="MA-NO", name="Mason Oslo", country="NO")
    named: dict[str, set[str]] = defaultdict(set)
    for one in (estate, replace(estate, entity=(*estate.entity, oslo))):
        for contract in contracts_of(play(plan(Portfolio(7, START, START + timedelta(days=60), 80, one)))):
            if contract.terms is not None:
                named[contract.terms.customer.code].add(contract.terms.customer.name)
    assert len(named) > 40
    assert {code: names for code, names in named.items() if len(names) > 1} == {}


def test_master_data_has_all_that_a_faultless_contract_refers_to(
    estate: Estate, played: SandboxClm, steps: list[Step]
) -> None:
    known = required(estate, known_firms())
    customers = {c.code for c in known.customers}
    added = {s.action.customer.code for s in steps if isinstance(s.action, PutCustomer)}
    assert len(customers) == len({c.name for c in known.customers}) == KNOWN
    taxes = {(t.legal_entity, t.code) for t in known.tax_codes}
    creating = {e.code for e in estate.entity if e.create_customers}
    defects = defect_of(steps)
    for contract in contracts_of(played):
        terms = contract.terms
        if terms is None or defects.get(contract.external_id):
            continue
        assert terms.customer.code in customers | added or terms.legal_entity in creating
        assert terms.tax.exempt or (terms.legal_entity, terms.tax.tax_code) in taxes
        assert terms.billing.payment_terms in {t.code for t in known.payment_terms}
        assert {r.category for r in terms.rates} <= {c.code for c in known.labour_categories}


def test_steps_come_in_time_and_each_contract_begins_with_a_draft(steps: list[Step]) -> None:
    assert all(one.at <= two.at for one, two in pairwise(steps))
    assert steps[0].at >= START
    assert steps[-1].at < END
    first: dict[str, ChangeKind] = {}
    for step in steps:
        if isinstance(step.action, Change):
            first.setdefault(step.contract_id, step.action.kind)
    assert set(first.values()) == {ChangeKind.DRAFTED}
    assert len(signings(steps)) == CONTRACTS


def test_every_event_is_understood_but_the_deliberately_unreadable_ones(played: SandboxClm, steps: list[Step]) -> None:
    unreadable = Counter[str]()
    for raw in played.store.feed:
        event = orjson.loads(raw)
        try:
            understand(event["type"], orjson.dumps(event["data"]))
        except SchemaUnknown:
            unreadable[event["subject"]] += 1
    wanted = [s.contract_id for s in steps if s.defect is Defect.UNREADABLE and not s.repairs]
    assert dict(unreadable) == dict.fromkeys(wanted, 1)
    assert wanted


def test_the_same_seed_tells_the_same_story_and_another_seed_another(estate: Estate) -> None:
    def told(seed: int) -> list[Step]:
        end = START + timedelta(days=120)
        return list(plan(Portfolio(seed, START, end, 60, estate)))

    assert told(1) == told(1)
    assert told(1) != told(2)
    assert play(told(1)).store.feed == play(told(1)).store.feed


def assert_adds_up(terms: Terms) -> None:
    assert sum(line.amount for line in terms.lines) == terms.value
    if terms.billing.kind is BillingKind.MILESTONES:
        assert sum(m.amount for m in terms.milestones) == terms.value
        assert all(m.amount > 0 for m in terms.milestones)
        assert len({m.key for m in terms.milestones}) == len(terms.milestones)
    else:
        assert 3 <= len({rate.category for rate in terms.rates}) <= 6
        assert terms.billing.not_to_exceed == terms.value


def test_the_parts_of_every_contract_add_up_once_its_defect_is_repaired(
    played: SandboxClm, steps: list[Step], estate: Estate
) -> None:
    repaired = {s.contract_id for s in steps if s.repairs}
    defects = defect_of(steps)
    multi_line = 0
    for contract in contracts_of(played):
        if contract.stage is Stage.DRAFT or contract.terms is None:
            continue
        defect = defects.get(contract.external_id)
        if defect is None or TREATMENTS[defect].repair is Repair.NONE or contract.external_id in repaired:
            assert_adds_up(contract.terms)
            assert contract_findings(contract, replace(estate, approval=())) == []
            assert contract.problems == ()
            assert contract.missing_amendment is None
            multi_line += len(contract.terms.lines) > 1
    assert multi_line > CONTRACTS / 10


def test_every_amount_is_a_whole_number_of_minor_units(played: SandboxClm) -> None:
    for contract in contracts_of(played):
        terms = contract.terms
        assert terms is not None
        amounts = [terms.value, *(line.amount for line in terms.lines), *(rate.rate for rate in terms.rates)]
        for amount in (*amounts, *(milestone.amount for milestone in terms.milestones)):
            Money.of(amount, terms.currency)


def test_contracts_are_signed_on_working_days_and_mostly_at_the_end_of_quarters(
    steps: list[Step], estate: Estate
) -> None:
    closed, late, office = 0, 0, 0
    known = [s for s in signings(steps) if s.defect is not Defect.ENTITY_UNKNOWN and s.defect is not Defect.UNREADABLE]
    for step in known:
        assert isinstance(step.action, Change)
        body = orjson.loads(orjson.dumps(step.action.body))
        entity = estate.entities[body["terms"]["legal_entity"]]
        local = datetime.fromisoformat(body["signed_at"]).astimezone(ZoneInfo(entity.timezone))
        closed += not is_working_day(local.date(), entity.working_time)
        late += (local + timedelta(days=14)).month % 3 == 1 and local.month % 3 == 0
        office += 8 <= local.hour < 22
    assert closed / len(known) < 0.03
    assert 0.24 < late / len(known) < 0.5  # 14 of 91 days are 15 %
    assert office == len(known)


def test_values_are_mostly_modest_with_a_few_big_ones(played: SandboxClm, estate: Estate) -> None:
    usd = sorted(
        float(estate.to_reporting(c.terms.value, c.terms.currency, c.terms.starts_on) or 0)
        for c in contracts_of(played)
        if c.terms is not None and c.stage is not Stage.DRAFT
    )
    assert 80_000 < usd[len(usd) // 2] < 220_000
    assert sum(usd[-len(usd) // 10 :]) > 0.3 * sum(usd)
    assert usd[-1] > 2_000_000


def test_contracts_live_on_after_their_signature(played: SandboxClm) -> None:
    kinds = Counter(orjson.loads(event)["type"].split(".")[3] for event in played.store.feed)
    assert {kind.value for kind in ChangeKind} - set(kinds) <= {"suspended", "resumed"}  # the end of a demo shows one
    summaries = Counter(a.summary for c in contracts_of(played) for a in c.amendments)
    assert {"Additional scope", "Reduced scope", "New rates", "Dates moved", "Purchase order added"} <= set(summaries)


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    days=st.integers(1, 200),
    contracts=st.integers(0, 25),
    open_share=st.sampled_from((0.0, 0.1)),
)
def test_any_window_can_be_planned(estate: Estate, seed: int, days: int, contracts: int, open_share: float) -> None:
    end = START + timedelta(days=days)
    told = list(plan(Portfolio(seed, START, end, contracts, estate, defect_share=0.5, open_share=open_share)))
    assert all(START <= step.at < end for step in told)
    assert len(signings(told)) <= contracts
    for contract in contracts_of(play(told)):
        assert contract.terms is not None


async def test_live_traffic_comes_at_its_rate_when_the_clock_reaches_it_and_can_be_played(estate: Estate) -> None:
    clock = VirtualClock(END)
    clm = build(clock, seed=1, token="t")
    signed = 0
    async for step in live(5, clock, rate_per_minute=10, estate=estate):
        assert abs(step.at - clock.now()) < timedelta(seconds=1)
        if isinstance(step.action, (Change, Repeat, DeliveryFault)):
            clm.perform(step.action)
        signed += isinstance(step.action, Change) and step.action.kind is ChangeKind.SIGNED
        if clock.now() > END + timedelta(minutes=60):
            break
    assert 450 < signed < 750
    for contract in contracts_of(clm):
        assert contract.terms is not None
