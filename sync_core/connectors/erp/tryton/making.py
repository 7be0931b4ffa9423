"""Creating and changing records in Tryton: one call per kind, a project first not billable (invoice method manual)."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.master_data import Category, Company, MasterData, Unit
from sync_core.connectors.erp.tryton.note import Note
from sync_core.connectors.erp.tryton.rpc import Domain, Rpc
from sync_core.connectors.erp.tryton.wire import Value, Values, new, number
from sync_core.connectors.erp.tryton.works import MANUAL, METHODS, billed
from sync_core.desired import (
    BillingMilestone,
    Customer,
    Kind,
    LabourCategory,
    Line,
    Project,
    Rate,
    Scalar,
    plain,
)
from sync_core.errors import ErpRejected
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import CallContext, Refs

NOTED: Mapping[Kind, tuple[str, ...]] = {
    Kind.PROJECT: (
        "billing",
        "value",
        "not_to_exceed",
        "starts_on",
        "ends_on",
        "payment_terms",
        "po_number",
    ),
    Kind.CONTRACT_LINE: ("amount", "recognition"),
    Kind.MILESTONE: ("bill_on",),
    Kind.LABOUR_RATE: (),
}
# What Tryton takes from elsewhere, and what to do about it there.
_ELSEWHERE = {
    "legal_entity": "a project cannot change its company; close it and let the contract be provisioned anew",
    "currency": "amounts are in the company's currency; bill the contract from a company that keeps books in its own",
    "tax_code": "the tax comes from the customer's tax rule; set the rule named after the contract's tax code there",
    "project": "the task was moved to another project; move it back",
    "revenue_account": "it comes from the product category; align its account with the contract's revenue rule",
    "category": "the task's role is part of its key; remove the task",
}
_ROLE_CATEGORY = "it comes from the role's product; align its account category with the contract's revenue rule"

Part = Line | BillingMilestone | Rate


class Maker:
    """Writes what the engine wants, as Tryton wants it."""

    def __init__(self, rpc: Rpc, master_data: MasterData) -> None:
        self._rpc, self._master_data = rpc, master_data

    async def customers(self, wanted: Sequence[Customer], ctx: CallContext) -> list[int]:
        rows: list[Values] = []
        for customer in wanted:
            identifiers: list[Values] = [{"code": code} for code in (customer.key, customer.tax_id) if code]
            address: Values = {"invoice": True}
            rows.append({"name": customer.name, "identifiers": [new(*identifiers)], "addresses": [new(address)]})
        return await self._rpc.create("customer.create", "party.party", rows, ctx)

    async def labour_categories(self, wanted: Sequence[LabourCategory], ctx: CallContext) -> list[int]:
        """A role's own price is 0: each contract's task has the agreed one."""
        unit = await self._master_data.unit("h", ctx)
        company = await self._own_company(ctx)
        rows: list[Values] = []
        for role in wanted:
            category = await self._category(role.revenue_category, company, ctx)
            rows.append(
                {
                    "code": role.key,
                    "name": role.name,
                    "type": "service",
                    "default_uom": unit,
                    "list_price": Decimal(0),
                    "account_category": category.id,
                    "products": [new({})],
                }
            )
        await self._master_data.add_products("labour_category.create", rows, ctx)
        domain: Domain = [["code", "in", [role.key for role in wanted]], ["default_uom", "=", unit]]
        made = await self._rpc.rows("labour_category.find", "product.product", domain, ["code"], ctx)
        products = {row.text("code"): number(row) for row in made}
        lost = [role.key for role in wanted if role.key not in products]
        if lost:
            raise ErpRejected(self._rpc.system, f"sells {', '.join(lost)} not by the hour; change its code")
        return [products[role.key] for role in wanted]

    async def projects(self, wanted: Sequence[Project], refs: Refs, ctx: CallContext) -> list[int]:
        rows: list[Values] = []
        for project in wanted:
            if await self._master_data.payment_terms(project.payment_terms, ctx) is None:
                raise ErpRejected(self._rpc.system, f"has no payment terms {project.payment_terms}; add them there")
            rows.append(
                {
                    "name": project.name,
                    "type": "project",
                    "company": (await self._company(project.legal_entity, ctx)).id,
                    "party": int(refs[Kind.CUSTOMER, project.customer]),
                    "project_invoice_method": MANUAL,
                    "status": (await self._master_data.statuses(ctx)).open,
                    "comment": _noted(project, Note(project.key, {}), NOTED[Kind.PROJECT]).text,
                    "timesheet_available": False,
                }
            )
        return await self._rpc.create("project.create", "project.work", rows, ctx)

    async def parts(self, wanted: Sequence[Part], refs: Refs, ctx: CallContext) -> list[int]:
        parent = int(refs[Kind.PROJECT, wanted[0].project])
        company = await self._company_of(parent, ctx)
        status = (await self._master_data.statuses(ctx)).open
        rows: list[Values] = []
        for part in wanted:
            product = await self._product(part, refs, company, ctx)
            own: Values = {"type": "task", "company": company, "parent": parent, "status": status, "product": product}
            note = _noted(part, Note(part.key, {}), NOTED[part.kind])
            rows.append({**own, "comment": note.text, **_values(part)})
        return await self._rpc.create(f"{wanted[0].kind}.create", "project.work", rows, ctx, company=company)

    async def update(self, wanted: Project | Part, ref: ErpRef, changed: Sequence[str], ctx: CallContext) -> None:
        """Under Tryton's optimistic lock: what a person or an invoice changed since is refused, and looked at again."""
        for name in changed:
            if name in _ELSEWHERE:
                raise ErpRejected(self._rpc.system, f"{wanted.kind} {wanted.key}, {name}: {_ELSEWHERE[name]}")
        work = int(ref)
        fields = ["comment", "invoice_line", "invoiced_amount", "project_invoice_method", "company", "_timestamp"]
        found = await self._rpc.rows(f"{wanted.kind}.read", "project.work", [["id", "=", work]], fields, ctx)
        note = Note.read(found[0].optional("comment")) if found else None
        if note is None or note.key != wanted.key:
            raise ErpRejected(self._rpc.system, f"{wanted.kind} {wanted.key} is no longer there; look the contract up")
        if isinstance(wanted, Project):
            values = await self._project_changes(wanted, found[0], changed, ctx)
        else:
            values = await self._part_changes(wanted, found[0], changed, ctx)
        noted = [name for name in NOTED[wanted.kind] if name in changed]
        if noted or _title(wanted) in changed:
            values["comment"] = _noted(wanted, note, noted).text
        if values:
            stamps: Values = {f"project.work,{work}": found[0].text("_timestamp")}
            await self._rpc.write(
                f"{wanted.kind}.update", "project.work", [([work], values)], ctx, unless_newer_than=stamps
            )

    async def activate(self, project: Project, ref: ErpRef, ctx: CallContext) -> None:
        method: Values = {"project_invoice_method": METHODS[project.billing]}
        await self._rpc.write("project.activate", "project.work", [([int(ref)], method)], ctx)

    async def _project_changes(
        self, project: Project, row: Row, changed: Sequence[str], ctx: CallContext
    ) -> dict[str, Value]:
        values: dict[str, Value] = {}
        if "name" in changed:
            values["name"] = project.name
        if "customer" in changed:
            values["party"] = await self._customer(project.customer, ctx)
        is_billable = row.text("project_invoice_method") != MANUAL
        if "billable" in changed:
            is_billable = project.billable
        if "billable" in changed or ("billing" in changed and is_billable):
            values["project_invoice_method"] = METHODS[project.billing] if is_billable else MANUAL
        return values

    async def _part_changes(self, part: Part, row: Row, changed: Sequence[str], ctx: CallContext) -> dict[str, Value]:
        # A new rate prices the hours that are not invoiced yet; an invoiced milestone has nothing left to price.
        if billed(row) and not isinstance(part, Rate):
            # Tryton itself would take a new price of an invoiced task without a word.
            raise ErpRejected(self._rpc.system, f"{part.kind} {part.key} was invoiced meanwhile; agree on a correction")
        values: dict[str, Value] = {}
        if "revenue_category" in changed:
            if isinstance(part, Rate):
                raise ErpRejected(self._rpc.system, f"{part.key}, revenue category: {_ROLE_CATEGORY}")
            values["product"] = await self._product(part, {}, number(row, "company"), ctx)
        theirs = _values(part)
        fields = {"amount": "list_price", "rate": "list_price", "planned_hours": "effort_duration"}
        for our, their in {_title(part): "name", **fields}.items():
            if our in changed and their in theirs:
                values[their] = theirs[their]
        return values

    async def _product(self, part: Part, refs: Refs, company: int, ctx: CallContext) -> int:
        if isinstance(part, Rate):
            return int(refs[Kind.LABOUR_CATEGORY, part.category])
        category = await self._category(part.revenue_category, company, ctx)
        if isinstance(part, Line) and category.account != part.revenue_account:
            words = f"revenue category {category.code} posts to account {category.account}, the contract's revenue rule"
            raise ErpRejected(self._rpc.system, f"{words} says {part.revenue_account}; align them")
        unit: Unit = "u" if isinstance(part, BillingMilestone) else "h"
        return await self._master_data.product(category, unit, ctx)

    async def _category(self, code: str, company: int, ctx: CallContext) -> Category:
        found = await self._master_data.category(code, company, ctx)
        if found is None:
            raise ErpRejected(self._rpc.system, f"has no revenue category {code}; add it there")
        return found

    async def _company(self, legal_entity: str, ctx: CallContext) -> Company:
        found = await self._master_data.company(legal_entity, ctx)
        if found is None:
            raise ErpRejected(self._rpc.system, f"has no company {legal_entity}; create it there")
        return found

    async def _own_company(self, ctx: CallContext) -> int:
        companies = (await self._rpc.login.session(ctx)).companies
        if not companies:
            raise ErpRejected(self._rpc.system, "its user belongs to no company; add one to the user in Tryton")
        return companies[0]

    async def _company_of(self, work: int, ctx: CallContext) -> int:
        companies = (await self._rpc.login.session(ctx)).companies
        if len(companies) == 1:
            return companies[0]
        found = await self._rpc.rows("project.read", "project.work", [["id", "=", work]], ["company"], ctx)
        if not found:
            raise ErpRejected(self._rpc.system, f"project {work} is no longer there; look the contract up")
        return number(found[0], "company")

    async def _customer(self, code: BusinessKey, ctx: CallContext) -> int:
        found = await self._rpc.rows("customer.find", "party.party", [["identifiers.code", "=", code]], [], ctx)
        if len(found) != 1:
            raise ErpRejected(self._rpc.system, f"has {len(found)} customers {code}, not one; mend its master data")
        return number(found[0])


def _title(obj: Project | Part) -> str:
    return "description" if isinstance(obj, Line) else "name"


def _noted(obj: Project | Part, note: Note, names: Sequence[str]) -> Note:
    title: str = getattr(obj, _title(obj))
    values: dict[str, Scalar] = {name: plain(getattr(obj, name)) for name in names}
    return note.with_fields({**values, "name": title if title != title.strip() else None})


def _values(part: Part) -> dict[str, Value]:
    """All but product and comment. A contract line has neither price nor time sheet, so it is never billed."""
    match part:
        case Line():
            return {"name": part.description, "timesheet_available": False}
        case BillingMilestone():
            return {"name": part.name, "list_price": part.amount, "timesheet_available": False}
        case Rate():
            effort = timedelta(seconds=float(part.planned_hours * 3600))
            return {"name": part.name, "list_price": part.rate, "effort_duration": effort, "timesheet_available": True}
