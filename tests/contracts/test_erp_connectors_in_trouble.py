"""What every ERP connector promises when something goes wrong, or many ask at once. The cases are in cases.py."""

import asyncio
import time
from dataclasses import replace

import pytest

from sync_core.desired import Kind
from sync_core.errors import ErpAmbiguous, ErpRejected, LeaseLost
from sync_core.ports import CallContext
from tests.contracts.cases import Case, context
from tests.contracts.provisioning import held, look, number, only, provision
from tests.contracts.samples import Sample, milestones


async def test_a_refusal_carries_the_erps_own_words_and_stores_nothing(case: Case, fixed_fee: Sample) -> None:
    customer = fixed_fee.of(Kind.CUSTOMER)
    made = {(Kind.CUSTOMER, key): ref for key, ref in (await case.connector.create(customer, {}, context())).items()}
    wrong = replace(fixed_fee.project, payment_terms="NO-SUCH-TERMS")
    with pytest.raises(ErpRejected) as refused:
        await case.connector.create([wrong], made, context())
    assert "NO-SUCH-TERMS" in refused.value.words
    assert await case.count(Kind.PROJECT, wrong.key) == 0


async def test_nothing_is_sent_once_the_lease_is_over(case: Case, fixed_fee: Sample) -> None:
    ctx = CallContext("late", time.monotonic() - 1)
    with pytest.raises(LeaseLost):
        await case.connector.create(fixed_fee.of(Kind.CUSTOMER), {}, ctx)
    assert await case.count(Kind.CUSTOMER, fixed_fee.scope.customer) == 0
    assert ctx.calls == []


async def test_a_create_whose_answer_was_lost_is_ambiguous_and_found_by_its_key(case: Case, fixed_fee: Sample) -> None:
    if case.lose_answer_of_create is None:
        pytest.skip("this ERP cannot be made to lose an answer")
    customer = fixed_fee.of(Kind.CUSTOMER)
    made = {(Kind.CUSTOMER, key): ref for key, ref in (await case.connector.create(customer, {}, context())).items()}
    case.lose_answer_of_create(Kind.PROJECT)
    with pytest.raises(ErpAmbiguous):
        await case.connector.create([fixed_fee.project], made, context())
    found = await only(case, fixed_fee, fixed_fee.project)
    assert found.fields == held(replace(fixed_fee.project, billable=False), found)


async def test_contracts_side_by_side_do_not_mix(case: Case) -> None:
    samples = [milestones(case.setup, name, f"CUST-{name}") for name in (number() for _ in range(6))]
    made = await asyncio.gather(*(provision(case, sample) for sample in samples))
    found = await asyncio.gather(*(look(case, sample) for sample in samples))
    for refs, seen in zip(made, found, strict=True):
        assert {at: [item.ref for item in items] for at, items in seen.items()} == {at: [r] for at, r in refs.items()}


async def test_parallel_creates_of_one_key_all_show_in_the_look_up(case: Case, fixed_fee: Sample) -> None:
    customer = fixed_fee.of(Kind.CUSTOMER)
    made = {(Kind.CUSTOMER, key): ref for key, ref in (await case.connector.create(customer, {}, context())).items()}
    answers = await asyncio.gather(*(case.connector.create([fixed_fee.project], made, context()) for _ in range(8)))
    refs = {answer[fixed_fee.project.key] for answer in answers}
    found = (await look(case, fixed_fee))[Kind.PROJECT, fixed_fee.project.key]
    assert {item.ref for item in found} == refs
    assert len(refs) == (1 if case.connector.capabilities.upsert else 8)
    assert case.lane.held == 0
