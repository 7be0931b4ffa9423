"""Tryton 8.2: contracts as projects whose tasks are billed by effort (milestones) or by time sheet.

Estate: `url` with the database as its path (or option `database`), `user`, `secret_env`, and the options
`settle_s` (longest time a request may still run there after its client gave up; Tryton's own limit, `[request]
timeout`, is 60 s) and `customers_without_tax_rule`: `refuse` (the default: tax decides first) or `category-tax`
(they pay the tax of the product category).

Tryton keeps no key unique and knows no idempotency key, so all matches are always reported. A contract's payment
terms cannot be set on a project; they stand in its comment, and an invoice proposes the customer's own.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from urllib.parse import quote

import httpx

from sync_core.clock import Clock
from sync_core.connectors import settings
from sync_core.connectors.erp.tryton.closing import Closer
from sync_core.connectors.erp.tryton.finance import read_page
from sync_core.connectors.erp.tryton.listing import Lister
from sync_core.connectors.erp.tryton.looking import Lookout
from sync_core.connectors.erp.tryton.making import Maker
from sync_core.connectors.erp.tryton.master_data import MasterData
from sync_core.connectors.erp.tryton.needed import NEEDS, look, release
from sync_core.connectors.erp.tryton.refusals import judge
from sync_core.connectors.erp.tryton.rpc import Rpc
from sync_core.connectors.erp.tryton.session import Login
from sync_core.connectors.erp.tryton.wire import decode
from sync_core.connectors.http import ErpHttp
from sync_core.desired import BillingMilestone, Customer, ErpObject, Found, Kind, LabourCategory, Line, Project, Rate
from sync_core.errors import InvalidEstate
from sync_core.estate.estate import Erp
from sync_core.keys import BusinessKey, ErpRef
from sync_core.lanes.answers_needed import Assurance, Needs
from sync_core.ports import (
    CallContext,
    Capabilities,
    ErpConnector,
    FinancialKind,
    FinancialPage,
    Gate,
    Observation,
    ProjectPage,
    Refs,
    Scope,
)

_SETTLE_S = "65"
_TAX_CHOICES = ("refuse", "category-tax")
_OPTIONS = ("database", "settle_s", "customers_without_tax_rule")


class Tryton:
    """ErpConnector for Tryton."""

    def __init__(self, name: str, rpc: Rpc, clock: Clock, *, settle_s: float, category_tax_counts: bool) -> None:
        self.name = name
        # Whoever projects are made by may not read account moves, so what was posted as revenue is not seen.
        self.capabilities = Capabilities(
            upsert=False, settle_s=settle_s, foreign_currency=False,
            reports=frozenset({FinancialKind.INVOICE, FinancialKind.PAYMENT}),
        )  # fmt: skip
        master_data = MasterData(rpc, clock)
        self._rpc, self._lister = rpc, Lister(rpc)
        self._assurance = rpc.assurance = Assurance(partial(look, rpc))
        self._lookout = Lookout(rpc, master_data, clock, category_tax_counts=category_tax_counts)
        self._maker, self._closer = Maker(rpc, master_data), Closer(rpc, master_data, clock)

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
        return await self._lookout.observe(scope, ctx)

    async def create(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> Mapping[BusinessKey, ErpRef]:
        if not objects:
            return {}
        ids = await self._make(objects, refs, ctx)
        return {o.key: ErpRef(str(at)) for o, at in zip(objects, ids, strict=True)}

    async def update(self, wanted: ErpObject, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        if isinstance(wanted, Customer | LabourCategory):
            raise ValueError(f"{wanted.kind} {wanted.key} is master data, never changed here; the diff is wrong")
        await self._maker.update(wanted, ref, changed, ctx)

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        await self._maker.activate(project, ref, ctx)

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        await self._closer.close(kind, ref, ctx)

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
        return await read_page(self._rpc, cursor, ctx)

    async def ping(self, ctx: CallContext) -> None:
        await self._rpc.count("ping", "company.company", [], ctx)

    async def version(self, ctx: CallContext) -> str | None:
        return await release(self._rpc, ctx)

    @property
    def needs(self) -> Needs:
        return NEEDS

    async def check(self, ctx: CallContext) -> None:
        await self._assurance.look_again(ctx)

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage:
        return await self._lister.projects(cursor, ctx)

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        return await self._lister.project(ref, ctx)

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        return await self._lister.parts(project, ctx)

    async def relabel(self, kind: Kind, ref: ErpRef, key: BusinessKey, ctx: CallContext) -> None:
        await self._lister.relabel(kind, ref, key, ctx)

    async def aclose(self) -> None:
        await self._rpc.aclose()

    async def _make(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> list[int]:
        match objects[0]:
            case Customer():
                return await self._maker.customers([o for o in objects if isinstance(o, Customer)], ctx)
            case LabourCategory():
                return await self._maker.labour_categories([o for o in objects if isinstance(o, LabourCategory)], ctx)
            case Project():
                return await self._maker.projects([o for o in objects if isinstance(o, Project)], refs, ctx)
        parts = [o for o in objects if isinstance(o, Line | BillingMilestone | Rate)]
        return await self._maker.parts(parts, refs, ctx)


def check(erp: Erp) -> None:
    """What can be known of its options without a call. Raises InvalidEstate."""
    system = f"erp {erp.name}"
    settings.only(system, erp.options, _OPTIONS)
    settings.seconds(system, erp.options, "settle_s", _SETTLE_S)
    if erp.options.get("customers_without_tax_rule", _TAX_CHOICES[0]) not in _TAX_CHOICES:
        raise InvalidEstate(f"{system}: customers_without_tax_rule is one of {', '.join(_TAX_CHOICES)}")


def connect(
    erp: Erp, *, secret: str | None, gate: Gate, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> ErpConnector:
    """Nothing is sent before the first call, which also logs in."""
    if not (erp.url and erp.user and secret):
        raise InvalidEstate(f"erp {erp.name}: tryton needs url (with the database), user and secret_env; add them")
    check(erp)
    taxing = erp.options.get("customers_without_tax_rule", _TAX_CHOICES[0])
    database = erp.options.get("database")
    url = f"{erp.url.rstrip('/')}/{quote(database, safe='')}" if database else erp.url
    http = ErpHttp(
        erp.name, url, gate=gate, clock=clock, timeout_s=erp.timeout_s, transport=transport,
        judge=partial(judge, erp.name), parse=decode,
    )  # fmt: skip
    login = http.credentials = Login(http, user=erp.user, password=secret)
    settle_s = float(erp.options.get("settle_s", _SETTLE_S))
    return Tryton(erp.name, Rpc(http, login), clock, settle_s=settle_s, category_tax_counts=taxing == "category-tax")
