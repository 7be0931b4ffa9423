"""sandbox-legacy: reads come from its last dump and its lists of files, writes go out as one file a window.

Estate options: `zone`, `opens`, `closes`, `answers` (its window, and when it answers), `settle_s`, and its codes
(codes.py). An update is a reversal with a new posting in one group; a rate that was billed in part is ended and posted
anew, an order takes its parts along. What was billed is never reversed: it would refuse that.
"""

import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx

from sync_core.clock import Clock
from sync_core.connectors import settings
from sync_core.connectors.answers import Row
from sync_core.connectors.erp.sandbox_legacy.books import Books, Owner, parse
from sync_core.connectors.erp.sandbox_legacy.codes import GROUPS, Codes
from sync_core.connectors.erp.sandbox_legacy.layout import CODE_PAGE, BadFile, Record, file_of, line_of
from sync_core.connectors.erp.sandbox_legacy.listing import NEEDS, Lister, look
from sync_core.connectors.erp.sandbox_legacy.mapping import TYPES, changed, fact, found, keeps, record
from sync_core.connectors.http import ErpHttp
from sync_core.desired import BillingMilestone, ErpObject, Found, Kind, Line, Project, Rate, fields_of
from sync_core.errors import ErpAmbiguous, ErpRejected, InvalidEstate, InvalidMoney
from sync_core.estate.estate import Erp
from sync_core.keys import BusinessKey, ErpRef
from sync_core.lanes.answers_needed import Needs
from sync_core.lanes.batches import BatchWindow, Group
from sync_core.plan import Action, Operation
from sync_core.ports import (
    CallContext,
    Capabilities,
    ErpConnector,
    FinancialPage,
    Gate,
    Observation,
    ProjectPage,
    References,
    Refs,
    Scope,
)

_PAGE: Final = 200
_OPTIONS: Final = ("zone", "opens", "closes", "answers", "settle_s")
_HEADERS = {"content-type": f"text/plain; charset={CODE_PAGE}"}


class SandboxLegacy:
    """ErpConnector and TakesBatches for sandbox-legacy."""

    def __init__(self, name: str, http: ErpHttp, codes: Codes, capabilities: Capabilities, clock: Clock) -> None:
        self.name, self.capabilities = name, capabilities
        self._http, self._codes, self._clock = http, codes, clock
        self._books = Books(http)
        self._lister = Lister(self._books, codes)

    # ---- reading ---------------------------------------------------------------------------------------------

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
        await self._books.read(ctx)
        owners: list[Owner] = [(None, scope.contract), (Kind.CUSTOMER, scope.customer)]
        owners += [(Kind.LABOUR_CATEGORY, category) for category in scope.labour_categories]
        handed = tuple(self._books.handed[owner] for owner in owners if owner in self._books.handed)
        answers = tuple(self._books.answers[owner] for owner in owners if owner in self._books.answers)
        return Observation(self._references(scope), tuple(self._found(owners, scope.contract)), handed, answers)

    def _found(self, owners: Sequence[Owner], contract: str) -> list[Found]:
        dump, codes = self._books.dump, self._codes
        held = [found(row, codes, is_open=True) for owner in owners for row in dump.shared.get(owner, ())]
        for order in dump.orders.get(contract, ()):
            is_open, parts = order["status"] != "C", dump.parts.get(order["document"], ())
            billed = any(part["billed"] for part in parts)
            held.append(found(order, codes, is_open=is_open, billed_parts=billed))
            held += [found(part, codes, is_open=is_open) for part in parts]
        return held

    def _references(self, scope: Scope) -> References:
        dump, codes = self._books.dump, self._codes
        entity = codes.theirs.get(("entity", scope.legal_entity), "")
        there = ("50", entity) in dump.master
        tax = codes.theirs.get(("tax", scope.tax_code or ""), "")
        customers = dump.shared.get((Kind.CUSTOMER, scope.customer), ())
        terms = codes.theirs.get(("terms", scope.payment_terms), "")
        lacking = [
            name
            for name in scope.revenue_categories
            if ("53", codes.theirs.get(("category", name), "")) not in dump.master
        ]
        return References(
            legal_entity=ErpRef(entity) if there else None,
            entity_currency=codes.name("currency", dump.currency_of[entity]) if there else None,
            tax_profile=scope.tax_code is None or ("51", entity, tax) in dump.master,
            customer_tax_profile=scope.tax_code is None or all(row["tax_id"] for row in customers),
            payment_terms=("52", terms) in dump.master,
            missing_revenue_categories=tuple(lacking),
            open_period=("54", entity, f"{self._today():%Y%m}") not in dump.master,
        )

    def _today(self) -> datetime:
        window = self.capabilities.batches
        return self._clock.now().astimezone(ZoneInfo(window.zone if window else "UTC"))

    async def financial_status(self, cursor: str | None, ctx: CallContext) -> FinancialPage:
        """As of the last dump."""
        await self._books.read(ctx)
        last = int(cursor or 0)
        new, more = self._books.dump.facts_after(last, most=_PAGE)
        facts = tuple(fact(row, self.name, self._codes) for row in new)
        return FinancialPage(facts, new[-1]["number"] if new else str(last), more)

    async def ping(self, ctx: CallContext) -> None:
        await self._http.call("ping", "GET", "/me", ctx=ctx, write=False)

    async def version(self, ctx: CallContext) -> str | None:
        answer = await self._http.call("version", "GET", "/me", ctx=ctx, write=False)
        return Row.of(self.name, answer.body).text("version")

    @property
    def needs(self) -> Needs:
        return NEEDS

    async def check(self, ctx: CallContext) -> None:
        answer = await self._http.call("layout.read", "GET", "/layout", ctx=ctx, write=False)
        look(Row.of(self.name, answer.body))

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage:
        """As of the last dump, and so are parts."""
        return await self._lister.projects(cursor, ctx)

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        return await self._lister.project(ref, ctx)

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        return await self._lister.parts(project, ctx)

    async def aclose(self) -> None:
        await self._http.aclose()

    # ---- writing ---------------------------------------------------------------------------------------------

    def written(self, group: Group) -> bytes:
        kind = TYPES[group.shared] if group.shared else ""
        try:
            lines = [line_of({"type": "10", "owner": group.owner, "object": kind, "mark": group.mark})]
            lines += [line_of(row) for operation in group.operations for row in self._rows(operation, group)]
        except (BadFile, KeyError, ValueError, InvalidMoney) as wrong:
            raise ErpRejected(self.name, str(wrong.args[0])) from wrong
        return "".join(f"{line}\r\n" for line in lines).encode(CODE_PAGE)

    async def there(
        self, shared: Sequence[tuple[Kind, BusinessKey]], ctx: CallContext
    ) -> frozenset[tuple[Kind, BusinessKey]]:
        await self._books.read(ctx)
        return frozenset(one for one in shared if one in self._books.dump.shared or one in self._books.handed)

    async def hand_over(self, groups: Sequence[bytes], ctx: CallContext) -> str:
        await self.check(ctx)  # once a file: a layout that changed is told before anything is sent
        written = f"{self._clock.now():%Y%m%d%H%M%S}"
        name = f"T{written}-{secrets.token_hex(4).upper()}"
        lines = b"".join(groups).decode(CODE_PAGE).split("\r\n")[:-1]
        content = file_of(name, "BATCH", written, lines)
        path = f"/inbox/{quote(name)}"
        await self._http.call("batch.send", "PUT", path, ctx=ctx, write=True, content=content, headers=_HEADERS)
        return name

    def _rows(self, operation: Operation, group: Group) -> list[Record]:
        kind, ref, wanted = operation.kind, operation.ref or "", operation.wanted
        head = {"type": TYPES[kind], "document": ref, "key": operation.key}
        match operation.action:
            case Action.CREATE if wanted is not None:
                return [{**record(wanted, self._codes), **_order(wanted, group)}]
            case Action.ADOPT:
                return [{**head, "action": "K"}]
            case Action.ACTIVATE:
                return [{**head, "action": "A"}]
            case Action.CLOSE:
                return [{**head, "action": "E" if kind is Kind.PROJECT else "R"}]
            case Action.UPDATE if wanted is not None:
                held = self._books.dump.documents.get(ref)
                if held is None:
                    raise KeyError(f"document {ref} of {operation.key} is not in the last dump")
                # Whose hours were billed is ended, and goes on under a new document.
                action = "E" if kind is Kind.LABOUR_RATE and held["billed"] else "R"
                again = changed(held, wanted, operation.after or {}, self._codes)
                return [{**head, "action": action}, {**again, **_order(wanted, group, held)}]
        raise ValueError(f"{operation.action} of {operation.key} is nothing that can be written")

    # ---- one write with its answer, for tools: such as a test system that has a night after each batch ------------

    async def create(self, objects: Sequence[ErpObject], refs: Refs, ctx: CallContext) -> Mapping[BusinessKey, ErpRef]:
        operations = [Operation(Action.CREATE, o.kind, o.key, after=fields_of(o), wanted=o) for o in objects]
        owner = next((o.project for o in objects if isinstance(o, Line | BillingMilestone | Rate)), None)
        rows = await self._answered(operations, ctx, refs.get((Kind.PROJECT, owner)) if owner else None)
        return {o.key: ErpRef(row["document"]) for o, row in zip(objects, rows, strict=True)}

    async def update(self, wanted: ErpObject, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        await self._books.read(ctx)
        after = {name: value for name, value in fields_of(wanted).items() if name in changed}
        operation = Operation(Action.UPDATE, wanted.kind, wanted.key, ref, after=after, wanted=wanted)
        await self._answered([operation], ctx)

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        await self._answered([Operation(Action.ACTIVATE, project.kind, project.key, ref, wanted=project)], ctx)

    async def close(self, kind: Kind, ref: ErpRef, ctx: CallContext) -> None:
        await self._answered([Operation(Action.CLOSE, kind, BusinessKey(""), ref)], ctx)

    async def relabel(self, kind: Kind, ref: ErpRef, key: BusinessKey, ctx: CallContext) -> None:
        await self._answered([Operation(Action.ADOPT, kind, key, ref)], ctx)

    async def _answered(
        self, operations: Sequence[Operation], ctx: CallContext, project: ErpRef | None = None
    ) -> Sequence[Record]:
        """Raises ErpAmbiguous where the answer is for the morning."""
        owner = BusinessKey(f"tool {secrets.token_hex(8)}")
        batch = await self.hand_over([self.written(Group(owner, tuple(operations), project=project))], ctx)
        await self._books.read(ctx)
        rows = self._books.rows.get(batch, {}).get((None, owner))
        if rows is None:
            raise ErpAmbiguous(self.name, f"batch {batch} is not answered yet")
        refused = [f"{row['words']} ({row['code']})" for row in rows if row["answer"] == "X"]
        if refused:
            raise ErpRejected(self.name, "; ".join(refused))
        return rows


def _order(wanted: ErpObject, group: Group, held: Record | None = None) -> dict[str, str]:
    """The document of a part's order: blank for the one that its own group posts, which takes all parts along."""
    if not isinstance(wanted, Line | BillingMilestone | Rate):
        return {}
    posted = any(o.kind is Kind.PROJECT and o.action in (Action.CREATE, Action.UPDATE) for o in group.operations)
    known = group.project or (held["order_document"] if held else "")
    return {"order_document": "" if posted else known}


@dataclass(frozen=True, slots=True)
class _Basic:
    """HTTP Basic; the same for every call."""

    value: str

    async def header(self, _ctx: CallContext) -> str:
        return self.value

    def refused(self, _header: str) -> None:
        return


def _window(erp: Erp) -> BatchWindow:
    try:
        opens, closes, answers = (time.fromisoformat(erp.options[name]) for name in ("opens", "closes", "answers"))
        window = BatchWindow(opens, closes, answers, zone=erp.options["zone"])
        ZoneInfo(window.zone)
    except (KeyError, ValueError) as wrong:
        words = "sandbox-legacy needs the options zone, opens, closes and answers, such as Europe/London and 22:00"
        raise InvalidEstate(f"erp {erp.name}: {words} ({wrong})") from wrong
    return window


def check(erp: Erp) -> None:
    """What can be known of its options without a call. Raises InvalidEstate."""
    system = f"erp {erp.name}"
    settings.only(system, erp.options, _OPTIONS, groups=GROUPS)
    settings.seconds(system, erp.options, "settle_s", str(erp.timeout_s))
    _window(erp)
    Codes.of(erp.name, erp.options)


def connect(
    erp: Erp, *, secret: str | None, gate: Gate, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> ErpConnector:
    """`erp.user` and `secret`: its user and password. Nothing is sent before the first call."""
    if not (erp.url and erp.user and secret):
        raise InvalidEstate(f"erp {erp.name}: sandbox-legacy needs url, user and secret_env; add them")
    check(erp)
    http = ErpHttp(
        erp.name, erp.url, gate=gate, clock=clock, timeout_s=erp.timeout_s, transport=transport, parse=parse,
        retry_after_means_unwritten=True,
    )  # fmt: skip
    http.credentials = _Basic(f"Basic {base64.b64encode(f'{erp.user}:{secret}'.encode()).decode()}")
    settle_s = float(erp.options.get("settle_s", str(erp.timeout_s)))
    capabilities = Capabilities(settle_s=settle_s, batches=_window(erp), keeps=keeps)
    return SandboxLegacy(erp.name, http, Codes.of(erp.name, erp.options), capabilities, clock)
