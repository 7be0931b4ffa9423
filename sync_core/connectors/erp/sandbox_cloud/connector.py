"""sandbox-cloud, REST v1: the cloud ERP that Tieline brings along for the demo, tests and benchmarks.

One composite read serves `observe`; creates are bulk and leave a record that exists as it is.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from sync_core.connectors.answers import Json, Response, Row
from sync_core.connectors.erp.sandbox_cloud.mapping import (
    NAMES,
    PARTS,
    PATHS,
    body_of,
    fact,
    part_found,
    posting,
    project_alone,
    project_found,
    references,
    shared_found,
    wire,
)
from sync_core.connectors.erp.sandbox_cloud.names import LEDGER, Names
from sync_core.connectors.http import OK, ErpHttp, Params
from sync_core.desired import BillingMilestone, ErpObject, Found, Kind, Line, Project, Rate
from sync_core.errors import ErpAmbiguous, ErpRejected
from sync_core.keys import BusinessKey, ErpRef
from sync_core.lanes.answers_needed import Assurance, Needs, require
from sync_core.ports import (
    CallContext,
    Capabilities,
    FinancialKind,
    FinancialPage,
    Observation,
    ProjectPage,
    Refs,
    Scope,
)

_log = logging.getLogger(__name__)
_MOST_ITEMS = 500  # of one bulk call
_RELEASE = "x-release"
_GONE = 404
_ALREADY_GONE = frozenset({200, 204, _GONE})
_OR_NONE = frozenset({200, _GONE})


class SandboxCloud:
    """ErpConnector for sandbox-cloud."""

    def __init__(self, name: str, http: ErpHttp, *, upsert: bool, settle_s: float, names: Names | None = None) -> None:
        self.name, self._names = name, names or Names()
        self._assurance = Assurance(self._look)
        self._asked = False
        self._described: str | None = None  # which release said what its records hold
        self.capabilities = Capabilities(
            upsert=upsert, settle_s=settle_s, reports=frozenset(FinancialKind), dated_rates=True
        )
        self._http = http
        self._create: tuple[str, str, Params | None] = ("create", "POST", None)
        if upsert:
            self._create = ("upsert", "PUT", {"on_existing": "keep"})

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
        params: dict[str, str | Sequence[str]] = {
            "customer": scope.customer,
            "legal_entity": scope.legal_entity,
            "payment_terms": scope.payment_terms,
            "tax_code": scope.tax_code or "",
            "labour_category": scope.labour_categories,
            "revenue_category": scope.revenue_categories,
        }
        path = f"/v1/provisioning/{quote(scope.contract, safe='')}"
        answer = await self._call("contract.observe", "GET", path, ctx, params=params)
        if not self._asked or self._described != self._assurance.seen:
            await self._describe(ctx)
        row = Row.of(self.name, answer.body)
        names = self._names
        found = [shared_found(Kind.CUSTOMER, names.read(Kind.CUSTOMER, each)) for each in row.rows("customers")]
        category = Kind.LABOUR_CATEGORY
        found += [shared_found(category, names.read(category, each)) for each in row.rows("labour_categories")]
        for project in row.rows("projects"):
            found += project_found(names.read(Kind.PROJECT, project))
        return Observation(references(row.row("references")), tuple(found))

    async def create(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> Mapping[BusinessKey, ErpRef]:
        if not objects:
            return {}
        if objects[0].kind is Kind.PROJECT:
            return {o.key: await self._create_project(o, refs, ctx) for o in objects if isinstance(o, Project)}
        path = _collection(objects[0], refs)
        created: dict[BusinessKey, ErpRef] = {}
        for begin in range(0, len(objects), _MOST_ITEMS):
            created |= await self._create_many(path, objects[begin : begin + _MOST_ITEMS], ctx)
        return created

    async def update(self, wanted: ErpObject, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        kind = wanted.kind
        body = {theirs: wire(wanted, ours) for ours, theirs in NAMES[kind].items() if ours in changed}
        if body:
            path = f"/v1/{PATHS[kind]}/{quote(ref, safe='')}"
            await self._write(f"{kind}.update", "PATCH", path, ctx, json=self._names.write(kind, body))
        if isinstance(wanted, Project) and "billable" in changed:
            await self._set_status("activate" if wanted.billable else "hold", ref, ctx)

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        await self._set_status("activate", ref, ctx)

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        path = f"/v1/{PATHS[kind]}/{quote(ref, safe='')}"
        method, path = ("POST", f"{path}/close") if kind is Kind.PROJECT else ("DELETE", path)
        await self._write(f"{kind}.close", method, path, ctx, ok=_ALREADY_GONE)

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
        """A page of the financial facts and one of the revenue ledger, if it has one: the cursor is both of theirs."""
        seen, _, posted = (cursor or "").partition(":")
        answer = await self._list("financials.read", "/v1/financials", seen, ctx)
        if not self._asked or self._described != self._assurance.seen:
            await self._describe(ctx)
        if FinancialKind.REVENUE not in self.capabilities.reports:
            facts = tuple(map(fact, answer.rows("items")))
            return FinancialPage(facts, f"{answer.text('cursor')}:{posted}", answer.flag("more"))
        ledger = await self._list("revenue.read", "/v1/revenue-postings", posted, ctx)
        facts = (*map(fact, answer.rows("items")), *map(posting, ledger.rows("items")))
        more = answer.flag("more") or ledger.flag("more")
        return FinancialPage(facts, f"{answer.text('cursor')}:{ledger.text('cursor')}", more)

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage:
        row = await self._list("projects.list", "/v1/projects", cursor, ctx)
        listed = (project_alone(self._names.read(Kind.PROJECT, each)) for each in row.rows("items"))
        found = [found for found in listed if found.active]
        return ProjectPage(tuple(found), row.text("cursor"), row.flag("more"))

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        path = f"/v1/projects/{quote(ref, safe='')}"
        answer = await self._http.call("project.read", "GET", path, ctx=ctx, write=False, ok=_OR_NONE)
        if answer.status == _GONE:
            return None
        found = project_alone(self._names.read(Kind.PROJECT, Row.of(self.name, answer.body)))
        return found if found.active else None

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        found: list[Found] = []
        for kind in PARTS:
            cursor: str | None = "0"
            while cursor is not None:
                path = f"/v1/projects/{quote(project.ref, safe='')}/{PATHS[kind]}"
                row = await self._list(f"{kind}.list", path, cursor, ctx)
                found += [part_found(kind, self._names.read(kind, part), project) for part in row.rows("items")]
                cursor = row.text("cursor") if row.flag("more") else None
        return found

    async def relabel(self, kind: Kind, ref: ErpRef, key: BusinessKey, ctx: CallContext) -> None:
        path = f"/v1/{PATHS[kind]}/{quote(ref, safe='')}/relabel"
        await self._write(f"{kind}.relabel", "POST", path, ctx, json={"external_id": key})

    async def ping(self, ctx: CallContext) -> None:
        await self._http.call("ping", "GET", "/v1/me", ctx=ctx, write=False)

    async def version(self, ctx: CallContext) -> str | None:
        answer = await self._http.call("version", "GET", "/v1/me", ctx=ctx, write=False)
        return Row.of(self.name, answer.body).text("version")

    @property
    def needs(self) -> Needs:
        return self._names.needs

    async def check(self, ctx: CallContext) -> str | None:
        await self._assurance.look_again(ctx)
        if FinancialKind.REVENUE in self.capabilities.reports:
            return None
        return "its release has no ledger of revenue: invoices and payments are read, revenue is not reported"

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _create_project(self, project: Project, refs: Refs, ctx: CallContext) -> ErpRef:
        verb, method, params = self._create
        path = f"/v1/projects/{quote(f'ext:{project.key}', safe=':')}" if method == "PUT" else "/v1/projects"
        customer = refs.get((Kind.CUSTOMER, project.customer))
        body: dict[str, Json] = {"external_id": project.key, **self._names.write(Kind.PROJECT, body_of(project))}
        if customer is not None:
            body["customer_id"] = customer
        answer = await self._write(f"project.{verb}", method, path, ctx, json=body, params=params)
        return ErpRef(Row.of(self.name, answer.body, write=True).text("id"))

    async def _create_many(
        self, path: str, objects: Sequence[ErpObject], ctx: CallContext
    ) -> Mapping[BusinessKey, ErpRef]:
        verb, method, params = self._create
        names = self._names
        items: list[Json] = [{"external_id": o.key, **names.write(o.kind, body_of(o))} for o in objects]
        operation = f"{objects[0].kind}.{verb}"
        answer = await self._write(operation, method, path, ctx, json={"items": items}, params=params)
        rows = Row.of(self.name, answer.body, write=True).rows("items")
        made = {BusinessKey(row.text("external_id")): ErpRef(row.text("id")) for row in rows}
        lost = [o.key for o in objects if o.key not in made]
        if lost:
            raise ErpAmbiguous(self.name, f"{operation} did not say what became of {', '.join(lost)}")
        return made

    async def _set_status(self, verb: str, ref: ErpRef, ctx: CallContext) -> None:
        path = f"/v1/projects/{quote(ref, safe='')}/{verb}"
        await self._write(f"project.{verb}", "POST", path, ctx)

    async def _list(self, operation: str, path: str, cursor: str | None, ctx: CallContext) -> Row:
        """A page; one that begins at the beginning without a cursor."""
        params: Params | None = {"cursor": cursor} if cursor else None
        answer = await self._call(operation, "GET", path, ctx, params=params)
        return Row.of(self.name, answer.body)

    async def _call(
        self, operation: str, method: str, path: str, ctx: CallContext, *, params: Params | None = None
    ) -> Response:
        """A read; each answer says which release made it."""
        answer = await self._http.call(operation, method, path, ctx=ctx, write=False, params=params)
        self._assurance.seen = answer.headers.get(_RELEASE)
        return answer

    async def _write(
        self,
        operation: str,
        method: str,
        path: str,
        ctx: CallContext,
        *,
        json: Json = None,
        params: Params | None = None,
        ok: frozenset[int] = OK,
    ) -> Response:
        """Not before the release that answers was looked at. One that came between refuses what it does not know."""
        await self._assurance.sure(ctx)
        try:
            answer = await self._http.call(
                operation, method, path, ctx=ctx, write=True, json=json, params=params, ok=ok
            )
        except ErpRejected:
            await self._assurance.doubt(ctx)
            raise
        self._assurance.seen = answer.headers.get(_RELEASE)
        return answer

    async def _look(self, ctx: CallContext) -> str | None:
        api, fields = await self._describe(ctx)
        require(self.name, self.needs, api, fields)
        return self._described

    async def _describe(self, ctx: CallContext) -> tuple[list[str], Mapping[str, list[str]]]:
        """Versions of the interface and fields by record; what it reports follows from that."""
        answer = await self._http.call("fields.read", "GET", "/v1/fields", ctx=ctx, write=False)
        row = Row.of(self.name, answer.body)
        records = row.row("records")
        fields = {kind: records.texts(kind) for kind in records.fields}
        lacking = {FinancialKind.REVENUE} if LEDGER in self.needs.without(fields) else frozenset()
        dated = self._names.dates_rates(fields.get(Kind.LABOUR_RATE.value, ()))
        if dated != self.capabilities.dated_rates:
            told = "holds prices with a first day" if dated else "has no labour_rate.valid_from: one price a category"
            _log.warning("%s: release %s %s", self.name, answer.headers.get(_RELEASE), told)
        reports = frozenset(FinancialKind) - lacking
        self.capabilities = replace(self.capabilities, reports=reports, dated_rates=dated)
        self._asked, self._described = True, answer.headers.get(_RELEASE)
        return row.texts("api"), fields


def _collection(first: ErpObject, refs: Refs) -> str:
    path = f"/v1/{PATHS[first.kind]}"
    if isinstance(first, Line | BillingMilestone | Rate):
        project = refs[Kind.PROJECT, first.project]
        path = f"/v1/projects/{quote(project, safe='')}/{PATHS[first.kind]}"
    return path
