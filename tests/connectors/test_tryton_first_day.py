"""Tryton on the first day and after an upgrade: projects that are not ours, our key on them, fields that are gone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import httpx
import orjson
import pytest
from httpx_aiohttp import AiohttpTransport

from app.sandbox.tryton_rpc import Row
from sync_core.clock import SystemClock
from sync_core.connectors import discovery
from sync_core.desired import Desired, Found, Kind
from sync_core.engine.surveying import survey
from sync_core.errors import ErpAnswerIncomplete
from sync_core.keys import ErpRef
from sync_core.lanes.answers_needed import DeclaresNeeds
from sync_core.moving.adoption import Result, Wanted
from sync_core.plan import Action, diff
from sync_core.ports import ErpConnector, ListsProjects
from tests.connectors.test_tryton import Made, active, by_the_hour, erp, finance, fixed_fee, provision
from tests.contracts.cases import Lane, context
from tests.contracts.samples import Sample
from tests.tryton_bookkeeper import Bookkeeper, tryton_erp
from tests.tryton_server import RunningTryton

pytestmark = pytest.mark.xdist_group("tryton")
__all__ = ["by_the_hour", "erp", "finance", "fixed_fee"]


def by_hand(finance: Bookkeeper, made: Made, words: str) -> ErpRef:
    """Somebody entered all of it in Tryton: no word of ours is in it. The project's id."""
    for (kind, _), ref in made.items():
        if not kind.shared:
            finance.rpc.write("project.work", [int(ref)], {"comment": words})
    return next(ref for (kind, _), ref in made.items() if kind is Kind.PROJECT)


async def listed(erp: ErpConnector) -> dict[str, Found]:
    assert isinstance(erp, ListsProjects)
    found: dict[str, Found] = {}
    cursor, more = None, True
    while more:
        page = await erp.projects(cursor, context())
        found |= {str(project.ref): project for project in page.projects}
        cursor, more = page.cursor, page.more
    return found


def wanted(sample: Sample) -> Wanted:
    project = sample.project
    return Wanted(1, project.key.partition("/")[2], Desired(project.key, "tryton", sample.objects, False))


@pytest.mark.parametrize("billing", ["fixed_fee", "by_the_hour"])
async def test_a_project_that_the_list_names_gets_our_keys_and_nothing_of_it_is_made_again(
    erp: ErpConnector, finance: Bookkeeper, request: pytest.FixtureRequest, billing: str
) -> None:
    sample: Sample = request.getfixturevalue(billing)
    ref = by_hand(finance, await provision(erp, sample), "Talked to Ann.\nShe knows.")
    assert await active(erp, sample) == {}
    held = (await listed(erp))[str(ref)]
    assert held.key != sample.project.key
    assert "value" not in held.fields
    assert held.fields["name"] == sample.project.name
    one = wanted(sample)
    (unnamed,) = await survey(erp, [one], {}, context())
    assert unnamed.result is Result.UNMATCHED
    (found,) = await survey(erp, [one], {one.name: str(ref)}, context())
    assert found.result is Result.MATCHED, found.words
    assert isinstance(erp, ListsProjects)
    for _ in range(2):  # a worker that died in between does it again
        for each in found.objects:
            await erp.relabel(each.kind, each.ref, each.key, context())
    billing_parts = {o.key for o in sample.objects if o.kind in (Kind.PROJECT, Kind.MILESTONE, Kind.LABOUR_RATE)}
    assert (await active(erp, sample)).keys() == billing_parts
    plan = diff(one.desired, (await erp.observe(sample.scope, context())).found)
    assert {o.kind for o in plan.writes if o.action is Action.CREATE} <= {Kind.CONTRACT_LINE}
    assert not [o for o in plan.writes if o.action is Action.CLOSE]
    assert finance.note(int(ref)).endswith("\nTalked to Ann.\nShe knows.")


async def test_what_is_closed_is_not_listed_and_what_is_ours_bears_its_key(
    erp: ErpConnector, fixed_fee: Sample
) -> None:
    made = await provision(erp, fixed_fee)
    ref = made[Kind.PROJECT, fixed_fee.project.key]
    held = (await listed(erp))[str(ref)]
    assert held.key == fixed_fee.project.key
    assert isinstance(erp, ListsProjects)
    parts = await erp.parts(held, context())
    assert {part.key for part in parts} == {
        key for kind, key in made if kind not in (Kind.PROJECT,) and not kind.shared
    }
    assert await erp.project(ref, context()) == held
    await erp.close(Kind.PROJECT, ref, context())
    assert str(ref) not in await listed(erp)
    assert await erp.project(ref, context()) is None


class Noting(httpx.AsyncBaseTransport):
    """Remembers which fields were asked for, by model, and which were written."""

    def __init__(self) -> None:
        self._transport, self.asked = AiohttpTransport(), set[tuple[str, str]]()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent = orjson.loads(await request.aread())
        _, _, called = str(sent["method"]).partition("model.")
        model, _, verb = called.rpartition(".")
        if verb == "search_read":
            self.asked |= {(model, name) for name in sent["params"][4] if name not in ("id", "_timestamp")}
        if verb == "create":
            self.asked |= {(model, name) for row in sent["params"][0] for name in row}
        if verb == "write":
            self.asked |= {(model, name) for values in sent["params"][1:-1:2] for name in values}
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def at_the_end(finance: Bookkeeper, model: str, name: str) -> list[tuple[str, str]]:
    """The fields on a dotted way, each with the model that has it."""
    way: list[tuple[str, str]] = []
    for step in name.split("."):
        way.append((model, step))
        told = cast("Row", finance.rpc.call(f"model.{model}.fields_get", [step], 0))
        model = str(cast("Row", told[step]).get("relation") or "")
    return way


async def test_all_that_is_read_and_written_is_declared(
    tryton: RunningTryton, finance: Bookkeeper, fixed_fee: Sample, by_the_hour: Sample
) -> None:
    transport = Noting()
    estate = tryton_erp(tryton.endpoint, customers_without_tax_rule="category-tax")
    erp = discovery.erp("tryton")(
        estate, secret=tryton.endpoint.password, gate=Lane(), clock=SystemClock(), transport=transport
    )
    assert isinstance(erp, DeclaresNeeds)
    for sample in (fixed_fee, by_the_hour):
        made = await provision(erp, sample)
        await erp.observe(sample.scope, context())
        await listed(erp)
        if sample is fixed_fee:
            first = next(key for kind, key in made if kind is Kind.MILESTONE)
            finance.bill_milestone(int(made[Kind.MILESTONE, first]))
        await erp.financial_status(None, context())
        await erp.close(Kind.PROJECT, made[Kind.PROJECT, sample.project.key], context())
    await erp.check(context())
    await erp.aclose()
    used = {pair for model, name in transport.asked for pair in at_the_end(finance, model, name)}
    declared = {(model, name) for model, names in erp.needs.fields.items() for name in names}
    ours = {(model, name) for model, name in used if model != "ir.module" and name != "id"}
    assert ours - declared == set()


@contextmanager
def hidden(finance: Bookkeeper, model: str) -> Iterator[None]:
    """Nobody but an administrator may read this model any more: links to it are gone from all others."""
    rule = finance.rpc.create("ir.model.access", {"model": model, "perm_read": False})
    try:
        yield
    finally:
        finance.rpc.call("model.ir.model.access.delete", [rule])


async def test_a_field_that_is_gone_is_named_before_anything_is_written_and_all_goes_on_once_it_is_back(
    erp: ErpConnector, finance: Bookkeeper, fixed_fee: Sample
) -> None:
    assert isinstance(erp, DeclaresNeeds)
    await erp.check(context())
    with hidden(finance, "party.identifier"):
        with pytest.raises(ErpAnswerIncomplete, match=r"answers lack the field party\.party\.identifiers"):
            await erp.check(context())
        with pytest.raises(ErpAnswerIncomplete, match=r"party\.party\.identifiers"):
            await erp.create(fixed_fee.of(Kind.CUSTOMER), {}, context())
        customer = fixed_fee.of(Kind.CUSTOMER)[0]
        assert finance.count(Kind.CUSTOMER, customer.key) == 0
    made = await provision(erp, fixed_fee)
    assert finance.count(Kind.PROJECT, fixed_fee.project.key) == 1
    assert len(made) == len(fixed_fee.objects)
