"""sandbox-cloud: tokens, rules, keys, paging and the admin surface."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from app.sandbox.cloud.faults import Effect, Fault
from sync_core.clock import VirtualClock
from sync_core.connectors import discovery
from sync_core.desired import Found, Kind
from sync_core.errors import (
    ErpCredentials,
    ErpRateLimited,
    ErpRejected,
    InvalidEstate,
)
from sync_core.estate.estate import Erp
from sync_core.keys import BusinessKey
from sync_core.lanes.answers_needed import DeclaresNeeds
from sync_core.ports import ErpConnector, ListsProjects
from tests.contracts.cases import SANDBOX_SETUP, SECRET, Lane, context
from tests.contracts.samples import milestones
from tests.sandbox.clouds import START, Cloud, Made, cloud, fixed_fee, provision, token_form


async def looked_at(it: Cloud) -> None:
    """Once for a release: what its answers hold, which nothing is written before."""
    assert isinstance(it.erp, DeclaresNeeds)
    await it.erp.check(context())


async def test_a_new_contract_takes_seven_calls() -> None:
    async with cloud() as it:
        ctx, sample = context(), fixed_fee()
        await looked_at(it)  # which fetches the token too
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
        await looked_at(it)
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
    with pytest.raises(InvalidEstate, match="unknown"):
        discovery.clm("../no_such")
    bare = Erp(name="cloud", kind="sandbox-cloud")
    with pytest.raises(InvalidEstate, match="secret_env"):
        discovery.erp(bare.kind)(bare, secret=None, gate=Lane(), clock=VirtualClock(START))


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


async def test_lists_are_paged() -> None:
    async with cloud() as it:
        await it.erp.create(
            [replace(fixed_fee().objects[0], key=BusinessKey(f"K{n}")) for n in range(7)], {}, context()
        )
        token = (await it.raw.post("/oauth/token", data=token_form())).json()["access_token"]
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


async def test_what_was_there_before_is_read_under_the_names_that_the_estate_gives() -> None:
    async with cloud() as it:
        sample = fixed_fee()
        await provision(it.erp, sample)
        before = await there(it.erp)
        renames = {"project": {"purchase_order": "po_reference"}, "milestone": {"amount": "price"}}
        await it.raw.post("/_sandbox/upgrade", json={"release": "2026.4.0", "renames": renames})
        options = {"field.project.purchase_order": "po_reference", "field.milestone.amount": "price"}
        mapped = Erp("cloud", "sandbox-cloud", "http://cloud", user="tieline", options=options)
        erp = discovery.erp(mapped.kind)(
            mapped, secret=SECRET, gate=Lane(), clock=it.clock, transport=httpx.ASGITransport(it.app)
        )
        after = await there(erp)
        assert (after[0].fields["po_number"], after) == (sample.project.po_number, before)
        await erp.aclose()


async def there(erp: ErpConnector) -> list[Found]:
    """The project as it is listed, as it is read alone, and its parts."""
    assert isinstance(erp, ListsProjects)
    [listed] = (await erp.projects(None, context())).projects
    alone = await erp.project(listed.ref, context())
    assert alone is not None
    return [listed, alone, *await erp.parts(listed, context())]


async def test_an_upgrade_renames_fields_both_ways_and_a_name_that_is_gone_is_refused() -> None:
    async with cloud() as it:
        await provision(it.erp, fixed_fee())
        renames = {"project": {"purchase_order": "po_reference"}, "milestone": {"amount": "price"}}
        await it.raw.post("/_sandbox/upgrade", json={"release": "2026.4.0", "renames": renames})
        token = (await it.raw.post("/oauth/token", data=token_form())).json()["access_token"]
        asked = {"authorization": f"Bearer {token}"}
        [project] = (await it.raw.get("/v1/projects", headers=asked)).json()["items"]
        assert ("purchase_order" in project, "po_reference" in project) == (False, True)
        parts = (await it.raw.get(f"/v1/projects/{project['id']}/milestones", headers=asked)).json()["items"]
        assert "price" in parts[0]
        address = f"/v1/projects/{project['id']}"
        gone = await it.raw.patch(address, headers=asked, json={"purchase_order": "PO-9"})
        assert (gone.status_code, "no field purchase_order" in gone.text) == (422, True)
        changed = await it.raw.patch(address, headers=asked, json={"po_reference": "PO-9"})
        assert changed.json()["po_reference"] == "PO-9"
        assert changed.headers["x-release"] == "2026.4.0"
        described = (await it.raw.get("/v1/fields", headers=asked)).json()
        assert "po_reference" in described["records"]["project"]
        unknown = await it.raw.post(
            "/_sandbox/upgrade", json={"release": "x", "renames": {"project": {"nothing": "x"}}}
        )
        assert unknown.status_code == 422
