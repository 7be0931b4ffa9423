"""sandbox-cloud: what it refuses, how it fails on demand, what it remembers, and its business life."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import orjson
import pytest

from app.sandbox.cloud.billing import Habits
from app.sandbox.cloud.faults import Effect, Fault, Faults
from app.sandbox.cloud.serve import serving
from app.sandbox.cloud.server import SandboxCloud, build
from app.sandbox.cloud.store import Store
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.desired import Kind
from sync_core.errors import (
    ErpAmbiguous,
    ErpAnswerIncomplete,
    ErpCredentials,
    ErpError,
    ErpRateLimited,
    ErpRejected,
    ErpUnavailable,
    InvalidEstate,
)
from sync_core.estate import Erp
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import ErpConnector, FinancialFact, FinancialKind
from tests.contracts.cases import SANDBOX_SETUP, SECRET, Lane, context, furnish
from tests.contracts.samples import Sample, milestones, time_and_materials

START = datetime(2030, 12, 15, 9, tzinfo=UTC)
ADMIN = {"x-sandbox-token": "admin-token"}
Made = dict[tuple[Kind, BusinessKey], ErpRef]


@dataclass(slots=True)
class Cloud:
    app: SandboxCloud
    clock: VirtualClock
    erp: ErpConnector
    raw: httpx.AsyncClient  # with the admin token


@asynccontextmanager
async def cloud(
    *,
    state: Path | None = None,
    timeout_s: float = 5,
    over_http: bool = False,
    habits: Habits | None = None,
    seed: int = 0,
) -> AsyncIterator[Cloud]:
    clock = VirtualClock(START)
    app = build(clock, seed=seed, client_secret=SECRET, admin_token="admin-token", state=state, habits=habits)
    furnish(app)
    try:
        if over_http:
            async with serving(app) as url, _client(app, clock, url, None, timeout_s) as opened:
                yield opened
        else:
            async with _client(app, clock, "http://cloud", httpx.ASGITransport(app), timeout_s) as opened:
                yield opened
    finally:
        app.close()


@asynccontextmanager
async def _client(
    app: SandboxCloud, clock: VirtualClock, url: str, transport: httpx.AsyncBaseTransport | None, timeout_s: float
) -> AsyncIterator[Cloud]:
    settings = Erp(name="cloud", kind="sandbox-cloud", url=url, user="tieline", timeout_s=timeout_s)
    erp = discovery.erp(settings.kind)(settings, secret=SECRET, gate=Lane(), clock=clock, transport=transport)
    async with httpx.AsyncClient(base_url=url, transport=transport, headers=ADMIN) as raw:
        yield Cloud(app, clock, erp, raw)
    await erp.aclose()


async def provision(erp: ErpConnector, sample: Sample, *, activate: bool = True) -> Made:
    made: Made = {}
    for kind in Kind:
        refs = await erp.create(sample.of(kind), made, context())
        made |= {(kind, key): ref for key, ref in refs.items()}
    if activate:
        await erp.activate(sample.project, made[Kind.PROJECT, sample.project.key], context())
    return made


def fixed_fee(number: str = "C-1") -> Sample:
    return milestones(SANDBOX_SETUP, number, f"CUST-{number}")


async def facts(erp: ErpConnector) -> list[FinancialFact]:
    found: list[FinancialFact] = []
    cursor, more = None, True
    while more:
        page = await erp.financial_status(cursor, context())
        found += page.facts
        cursor, more = page.cursor, page.more
    return found


async def test_a_new_contract_takes_seven_calls() -> None:
    async with cloud() as it:
        ctx, sample = context(), fixed_fee()
        await it.erp.ping(context())  # fetches the token
        await it.erp.observe(sample.scope, ctx)
        made: Made = {}
        for kind in Kind:
            refs = await it.erp.create(sample.of(kind), made, ctx)
            made |= {(kind, key): ref for key, ref in refs.items()}
        await it.erp.observe(sample.scope, ctx)
        await it.erp.activate(sample.project, made[Kind.PROJECT, sample.project.key], ctx)
        assert len(ctx.calls) == 7


async def test_one_token_serves_all_calls_and_is_renewed_when_it_ends() -> None:
    async with cloud() as it:
        await asyncio.gather(*(it.erp.ping(context()) for _ in range(20)))
        assert it.app.tokens.issued == 1
        it.clock.advance(timedelta(hours=2))
        await asyncio.gather(*(it.erp.ping(context()) for _ in range(20)))
        assert it.app.tokens.issued == 2
        await it.raw.post("/_sandbox/tokens/revoke")
        ctx = context()
        await it.erp.create(fixed_fee().of(Kind.CUSTOMER), {}, ctx)
        assert [call.outcome for call in ctx.calls] == ["erp.credentials", "ok", "ok"]
        assert it.app.tokens.issued == 3


async def test_a_401_that_a_new_token_does_not_cure_is_a_matter_of_credentials() -> None:
    async with cloud() as it:
        it.app.faults.add(Fault(Effect.UNAUTHORISED, "me.read"))
        with pytest.raises(ErpCredentials):
            await it.erp.ping(context())
        it.app.faults.clear()
        wrong = Erp(name="cloud", kind="sandbox_cloud", url="http://cloud", user="tieline")
        transport = httpx.ASGITransport(it.app)
        erp = discovery.erp(wrong.kind)(wrong, secret="wrong", gate=Lane(), clock=it.clock, transport=transport)
        with pytest.raises(ErpCredentials):
            await erp.ping(context())
        await erp.aclose()


def test_an_unknown_kind_and_missing_settings_are_named() -> None:
    with pytest.raises(InvalidEstate, match="sandbox_cloud"):
        discovery.erp("no-such-erp")
    with pytest.raises(InvalidEstate, match="no_such|unknown"):
        discovery.clm("../no_such")
    bare = Erp(name="cloud", kind="sandbox-cloud")
    with pytest.raises(InvalidEstate, match="secret_env"):
        discovery.erp(bare.kind)(bare, secret=None, gate=Lane(), clock=VirtualClock(START))


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


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"periods": [{"legal_entity": "US01", "period": "2031-01", "status": "closed"}]}, "2031-01 of US01 is closed"),
        ({"periods": [{"legal_entity": "US01", "period": "2030-12", "status": "closed"}]}, "2030-12 of US01 is closed"),
        ({"customers": [{"code": "CUST-C-1", "name": "No tax"}]}, "no tax registration"),
    ],
)
async def test_business_rules_refuse_in_words(changes: Mapping[str, object], words: str) -> None:
    async with cloud() as it:
        assert (await it.raw.post("/_sandbox/master", json=changes)).status_code == 200
        with pytest.raises(ErpRejected, match=words):
            await provision(it.erp, fixed_fee())
        references = (await it.erp.observe(fixed_fee().scope, context())).references
        assert references.open_period == ("2030-12" not in words)
        assert references.customer_tax_profile == ("registration" not in words)


async def test_amounts_are_exact_to_the_currency_of_each_legal_entity() -> None:
    async with cloud() as it:
        setup = replace(SANDBOX_SETUP, legal_entity="PY01", currency="PYG", tax_code=None)
        sample = milestones(setup, "C-9", "CUST-9")
        customer = await it.erp.create(sample.of(Kind.CUSTOMER), {}, context())
        refs: Made = {(Kind.CUSTOMER, key): ref for key, ref in customer.items()}
        refs |= {(Kind.PROJECT, k): r for k, r in (await it.erp.create([sample.project], refs, context())).items()}
        with pytest.raises(ErpRejected, match="decimals"):
            await it.erp.create(sample.of(Kind.MILESTONE), refs, context())
        assert not it.app.store.count("milestone")
        assert (await it.erp.observe(sample.scope, context())).references.entity_currency == "PYG"


@pytest.mark.parametrize("key", ["C/1 ?&#%2F+é", "a" * 100, "x;y=z", "..", "ext:1"])
async def test_any_key_survives_the_way_there_and_back(key: str) -> None:
    async with cloud(over_http=True) as it:
        made = await provision(it.erp, fixed_fee(key))
        found = (await it.erp.observe(fixed_fee(key).scope, context())).found
        assert {(item.kind, item.key): item.ref for item in found} == made


async def test_an_answer_that_lost_a_field_stops_the_reader() -> None:
    async with cloud() as it:
        made = await provision(it.erp, fixed_fee(), activate=False)
        project = it.app.store.get("project", made[Kind.PROJECT, fixed_fee().project.key])
        assert project is not None
        del project["purchase_order"]
        with pytest.raises(ErpAnswerIncomplete, match="purchase_order"):
            await it.erp.observe(fixed_fee().scope, context())


async def test_lists_are_paged() -> None:
    async with cloud() as it:
        await it.erp.create(
            [replace(fixed_fee().objects[0], key=BusinessKey(f"K{n}")) for n in range(7)], {}, context()
        )
        token = (await it.raw.post("/oauth/token", data=_form())).json()["access_token"]
        seen, cursor, more = [], "0", True
        while more:
            answer = await it.raw.get(
                "/v1/customers",
                params={"limit": "3", "cursor": cursor},
                headers={"authorization": f"Bearer {token}"},
            )
            page = answer.json()
            seen += [row["external_id"] for row in page["items"]]
            cursor, more = page["cursor"], page["more"]
        assert seen == [f"K{n}" for n in range(7)]


async def test_the_admin_surface_needs_its_token_and_shows_what_happened() -> None:
    async with cloud() as it:
        for headers in ({"x-sandbox-token": "wrong"}, {"x-sandbox-token": ""}):
            assert (await it.raw.get("/_sandbox/log", headers=headers)).status_code == 401
        made = await provision(it.erp, fixed_fee())
        ref = made[Kind.PROJECT, fixed_fee().project.key]
        counters = (await it.raw.get("/_sandbox/counters")).json()["counters"]
        project = {"kind": "project", "key": fixed_fee().project.key, "created": 1, "updated": 1, "deleted": 0}
        assert project in counters
        log = (await it.raw.get("/_sandbox/log")).json()["writes"]
        assert [entry["operation"] for entry in log][-1] == "project.activate"
        edit = {"kind": "project", "id": ref, "fields": {"name": "Edited by hand"}}
        assert (await it.raw.patch("/_sandbox/objects", json=edit)).json()["name"] == "Edited by hand"
        dump = (await it.raw.get("/_sandbox/objects", params={"kind": "project"})).json()["items"]
        assert [row["name"] for row in dump] == ["Edited by hand"]
        fault = {"effect": "rate_limit", "operation": "me.read", "count": 1, "retry_after": "2"}
        assert (await it.raw.post("/_sandbox/faults", json=fault)).status_code == 200
        with pytest.raises(ErpRateLimited):
            await it.erp.ping(context())
        assert (await it.raw.post("/_sandbox/faults", json={"effect": "explode"})).status_code == 422
        remove = {"payment_terms": [{"code": "NET30"}]}
        assert (await it.raw.post("/_sandbox/master/remove", json=remove)).status_code == 200
        assert not (await it.erp.observe(fixed_fee().scope, context())).references.payment_terms


async def _life(numbers: list[str], *, seed: int = 3) -> list[FinancialFact]:
    async with cloud(seed=seed, habits=Habits(dispute_share=0.4)) as it:
        for number in numbers:
            await provision(it.erp, fixed_fee(number))
        it.clock.advance(timedelta(days=300))
        return await facts(it.erp)


async def test_milestones_are_invoiced_on_their_dates_and_paid_later() -> None:
    found = await _life([f"C-{n}" for n in range(10)])
    issued = {f.ref: f for f in found if f.kind is FinancialKind.INVOICE and f.status == "issued"}
    assert len(issued) == 30
    assert {f.occurred_on for f in issued.values()} == {date(2031, month, 28) for month in (1, 2, 3)}
    assert sum(f.amount for f in issued.values()) == 10 * Decimal("1244568.00")
    payments = [f for f in found if f.kind is FinancialKind.PAYMENT]
    disputed = {f.invoice for f in found if f.kind is FinancialKind.DISPUTE}
    assert 3 < len(disputed) < 27
    assert {f.invoice for f in payments} == set(issued)
    waits = [
        (f.occurred_on - issued[f.invoice or ErpRef("")].occurred_on).days
        for f in payments
        if f.invoice not in disputed
    ]
    assert min(waits) >= 10
    assert max(waits) <= 60


async def test_business_life_depends_on_the_seed_alone() -> None:
    def shown(found: list[FinancialFact]) -> list[tuple[object, ...]]:
        return sorted((f.project, f.kind, f.amount, f.occurred_on, f.status) for f in found)

    numbers = ["C-1", "C-2", "C-3"]
    assert shown(await _life(numbers)) == shown(await _life(numbers[::-1])) != shown(await _life(numbers, seed=4))


async def test_hours_are_invoiced_monthly_within_plan_and_cap() -> None:
    async with cloud() as it:
        sample = time_and_materials(SANDBOX_SETUP, "T-1", "CUST-T")
        capped = time_and_materials(SANDBOX_SETUP, "T-2", "CUST-T")
        capped = replace(
            capped,
            objects=tuple(
                replace(o, not_to_exceed=Decimal("9000")) if o is capped.project else o for o in capped.objects
            ),
        )
        await provision(it.erp, sample)
        await provision(it.erp, capped)
        it.clock.advance(timedelta(days=600))
        invoices = [f for f in await facts(it.erp) if f.kind is FinancialKind.INVOICE and f.status == "issued"]
        mine = [f for f in invoices if f.project == sample.project.key]
        assert len(mine) >= 6
        assert len({f.occurred_on for f in mine}) == len(mine)
        assert sum(f.amount for f in mine) == 2 * Decimal("120.5") * Decimal("187.50")
        assert 0 < sum(f.amount for f in invoices if f.project == capped.project.key) <= 9000
        rates = [f for f in (await it.erp.observe(sample.scope, context())).found if f.kind is Kind.LABOUR_RATE]
        assert all(rate.billed for rate in rates)


async def test_what_is_invoiced_is_neither_changed_nor_closed() -> None:
    async with cloud() as it:
        sample = fixed_fee()
        made = await provision(it.erp, sample)
        advanced = await it.raw.post("/_sandbox/advance", json={"through": "2031-01-31"})
        assert advanced.json() == {"through": "2031-01-31"}
        first = sample.of(Kind.MILESTONE)[0]
        ref = made[Kind.MILESTONE, first.key]
        with pytest.raises(ErpRejected, match="already invoiced"):
            await it.erp.update(first, ref, ("amount",), context())
        with pytest.raises(ErpRejected, match="already invoiced"):
            await it.erp.close(Kind.MILESTONE, ref, context())
        await it.erp.close(Kind.PROJECT, made[Kind.PROJECT, sample.project.key], context())
        left = [f for f in (await it.erp.observe(sample.scope, context())).found if not f.kind.shared]
        assert [(f.kind, f.active, f.billed) for f in left] == [
            (Kind.PROJECT, False, True),
            (Kind.MILESTONE, True, True),
        ]


async def test_a_restart_keeps_records_numbers_and_business_life(tmp_path: Path) -> None:
    state = tmp_path / "cloud.journal"
    async with cloud(state=state) as it:
        made = await provision(it.erp, fixed_fee())
        it.app.billing.advance(date(2031, 1, 31))
        gone = made[Kind.MILESTONE, fixed_fee().of(Kind.MILESTONE)[2].key]
        await it.erp.close(Kind.MILESTONE, gone, context())
        with pytest.raises(RuntimeError, match="in use"):
            Store(state)
    with state.open("ab") as torn:
        torn.write(b'[["project","PRJ-000009",{"id":"PRJ-')
    for _ in range(2):  # the second start reads what the first one rewrote
        async with cloud(state=state) as it:
            found = (await it.erp.observe(fixed_fee().scope, context())).found
            assert {item.ref for item in found} == set(made.values()) - {gone}
            assert it.app.store.next_id("MIL") == "MIL-000004"
            it.app.store.rollback()
    async with cloud(state=state) as it:
        it.clock.advance(timedelta(days=300))
        invoices = [f for f in await facts(it.erp) if f.kind is FinancialKind.INVOICE]
        assert sorted((f.occurred_on.month, f.status) for f in invoices) == [
            (1, "issued"),
            (1, "paid"),
            (2, "issued"),
            (2, "paid"),
        ]


async def test_a_killed_process_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    state, keys = tmp_path / "cloud.journal", []
    async with _process(state) as (process, url):
        async with httpx.AsyncClient(base_url=url) as raw:
            headers = await _bearer(raw)
            deadline = time.monotonic() + 20
            while len(keys) < 25 and time.monotonic() < deadline:
                items = [{"external_id": f"K{len(keys)}", "name": "Any"}]
                if (await raw.put("/v1/customers", json={"items": items}, headers=headers)).status_code == 200:
                    keys.append(items[0]["external_id"])
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()
    async with _process(state) as (process, url):
        async with httpx.AsyncClient(base_url=url) as raw:
            page = (await raw.get("/v1/customers", headers=await _bearer(raw))).json()
        process.terminate()
        assert await process.wait() == 0
    assert [row["external_id"] for row in page["items"]] == keys
    assert len(keys) == 25


def _form() -> dict[str, str]:
    return {"grant_type": "client_credentials", "client_id": "tieline", "client_secret": SECRET}


async def _bearer(raw: httpx.AsyncClient) -> dict[str, str]:
    answer = await raw.post("/oauth/token", data=_form())
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


@asynccontextmanager
async def _process(state: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    arguments = ["-m", "app.sandbox.cloud", "--state", str(state), "--client-secret", SECRET]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        ready = await asyncio.wait_for(process.stdout.readline(), 30)
        yield process, orjson.loads(ready)["url"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
