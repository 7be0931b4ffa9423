"""sandbox-cloud: how it fails on demand, and what its connector makes of it."""

from dataclasses import replace

import pytest

from app.sandbox.cloud.faults import Effect, Fault, Faults
from sync_core.desired import Kind
from sync_core.errors import (
    ErpAmbiguous,
    ErpAnswerIncomplete,
    ErpError,
    ErpRateLimited,
    ErpUnavailable,
)
from tests.contracts.cases import context
from tests.sandbox.clouds import Made, cloud, fixed_fee, provision


@pytest.mark.parametrize("over_http", [True, False], ids=["over http", "in one process"])
@pytest.mark.parametrize(
    ("fault", "error", "stored"),
    [
        (Fault(Effect.STATUS, "project.*", status=500), ErpAmbiguous, False),
        (Fault(Effect.STATUS, "write", status=503, after_commit=True), ErpAmbiguous, True),
        (Fault(Effect.HANG, "project.upsert"), ErpAmbiguous, False),
        (Fault(Effect.HANG, "project.upsert", after_commit=True), ErpAmbiguous, True),
        (Fault(Effect.RESET, "project.upsert"), ErpAmbiguous, False),
        (Fault(Effect.RESET, "project.upsert", after_commit=True), ErpAmbiguous, True),
        (Fault(Effect.RATE_LIMIT, "*", retry_after="3"), ErpRateLimited, False),
        (Fault(Effect.RATE_LIMIT, "*"), ErpRateLimited, False),
        (Fault(Effect.STORES_NOTHING, "*"), None, False),
        (Fault(Effect.LATENCY, "*", seconds=0.01), None, True),
        (Fault(Effect.DRIP, "*", seconds=0.01), None, True),
    ],
    ids=lambda value: f"{value.effect}{'-after' if value.after_commit else ''}" if isinstance(value, Fault) else None,
)
async def test_each_fault_has_its_effect(
    fault: Fault, error: type[ErpError] | None, stored: bool, over_http: bool
) -> None:
    async with cloud(over_http=over_http, timeout_s=0.3) as it:
        sample = fixed_fee()
        made: Made = {
            (Kind.CUSTOMER, k): r for k, r in (await it.erp.create(sample.objects[:1], {}, context())).items()
        }
        it.app.faults.add(replace(fault))
        if error:
            with pytest.raises(error):
                await it.erp.create([sample.project], made, context())
        else:
            await it.erp.create([sample.project], made, context())
        key = sample.project.key
        assert len(it.app.store.by_key("project", key)) == it.app.ledger.of("project", key).created == stored
        seen = it.app.ledger.requests[-1]
        assert (seen.fault, seen.committed, seen.keys or [key]) == (fault.effect, stored, [key])
        assert (seen.status is None) == (fault.effect in (Effect.HANG, Effect.RESET))


async def test_faults_fit_by_pattern_count_and_seeded_probability() -> None:
    def struck(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Fault(Effect.RESET, "project.*", probability=0.3))
        return [faults.take("project.upsert", write=True) is not None for _ in range(200)]

    assert struck(1) == struck(1) != struck(2)
    assert 30 < sum(struck(1)) < 90
    faults = Faults()
    faults.add(Fault(Effect.RESET, "read", count=2))
    assert [faults.take("me.read", write=False) is not None for _ in range(3)] == [True, True, False]
    assert faults.take("project.close", write=True) is None


async def test_faults_strike_reads_as_unavailable() -> None:
    async with cloud() as it:
        await it.erp.ping(context())
        for effect in (Effect.RESET, Effect.HANG, Effect.STATUS):
            it.app.faults.add(Fault(effect, "read", count=1))
            with pytest.raises(ErpUnavailable):
                await it.erp.observe(fixed_fee().scope, context())


async def test_an_answer_that_lost_a_field_stops_the_reader() -> None:
    async with cloud() as it:
        made = await provision(it.erp, fixed_fee(), activate=False)
        project = it.app.store.get("project", made[Kind.PROJECT, fixed_fee().project.key])
        assert project is not None
        del project["purchase_order"]
        with pytest.raises(ErpAnswerIncomplete, match="purchase_order"):
            await it.erp.observe(fixed_fee().scope, context())
