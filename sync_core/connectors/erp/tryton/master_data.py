"""What Tryton holds for all contracts: companies, taxes, payment terms, product categories, periods, statuses.

Legal entity = company whose party has its code as identifier; tax code = `account.tax.description`; revenue
category = accounting `product.category` with that (unique) code, which carries the revenue account.
A task is billed through a product, so each revenue category has two, made when first needed: one by the piece
for milestones, one by the hour for contract lines. Codes of active products are unique in Tryton, the one thing
that is: whoever comes second takes what the first one made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Literal

from sync_core.clock import Clock
from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.kept import Kept
from sync_core.connectors.erp.tryton.rpc import Domain, Rpc
from sync_core.connectors.erp.tryton.wire import Values, linked_text, new, number
from sync_core.errors import ErpAnswerIncomplete, ErpRejected
from sync_core.ports import CallContext

_REFERENCES_LAST = timedelta(minutes=1)
_SETTINGS_LAST = timedelta(minutes=10)

Unit = Literal["h", "u"]
_PRODUCTS: dict[Unit, tuple[str, str]] = {"u": ("milestone", "Milestone"), "h": ("line", "Contract line")}


@dataclass(frozen=True, slots=True)
class Company:
    id: int
    currency: str


@dataclass(frozen=True, slots=True)
class Tax:
    id: int
    code: str
    exempt: bool


@dataclass(frozen=True, slots=True)
class Category:
    id: int
    code: str
    name: str
    account: str | None  # code of the revenue account
    taxes: frozenset[int]  # of a customer without a tax rule


@dataclass(frozen=True, slots=True)
class Statuses:
    """The same for projects and tasks: work goes on, work is done."""

    open: int
    done: int


class MasterData:
    """Reads it, and keeps what was found for a minute or ten."""

    def __init__(self, rpc: Rpc, clock: Clock) -> None:
        self._rpc = rpc
        self._companies = Kept[Company](clock, lasts=_REFERENCES_LAST)
        self._taxes = Kept[tuple[Tax, ...]](clock, lasts=_REFERENCES_LAST)
        self._categories = Kept[Category](clock, lasts=_REFERENCES_LAST)
        self._found = Kept[int](clock, lasts=_REFERENCES_LAST)
        self._statuses = Kept[Statuses](clock, lasts=_SETTINGS_LAST)
        self._settings = Kept[int](clock, lasts=_SETTINGS_LAST)

    async def company(self, legal_entity: str, ctx: CallContext) -> Company | None:
        async def fetch() -> Company | None:
            domain: Domain = [["party.identifiers.code", "=", legal_entity]]
            rows = await self._rpc.rows("company.find", "company.company", domain, ["currency.code"], ctx)
            if len(rows) > 1:
                raise ErpRejected(self._rpc.system, f"has {len(rows)} companies with the code {legal_entity}; keep one")
            return Company(number(rows[0]), linked_text(rows[0], "currency", "code") or "") if rows else None

        return await self._companies.get(legal_entity, fetch)

    async def taxes(self, company: int, code: str | None, ctx: CallContext) -> tuple[Tax, ...]:
        """The active taxes with this code, and all that take nothing; for an exempt contract only the latter."""

        async def fetch() -> tuple[Tax, ...] | None:
            asked: Domain = ["OR", ["description", "=", code], ["rate", "=", Decimal(0)]]
            domain: Domain = [["company", "=", company], ["parent", "=", None], ["active", "=", True], asked]
            fields = ["description", "rate"]
            rows = await self._rpc.rows("tax.find", "account.tax", domain, fields, ctx, company=company)
            found = tuple(_tax(row) for row in rows)
            return found if code is None or any(tax.code == code for tax in found) else None

        return await self._taxes.get(f"{company} {code}", fetch) or ()

    async def payment_terms(self, name: str, ctx: CallContext) -> int | None:
        async def fetch() -> int | None:
            rows = await self._rpc.rows(
                "payment_terms.find", "account.invoice.payment_term", [["name", "=", name]], [], ctx, limit=1
            )
            return number(rows[0]) if rows else None

        return await self._found.get(f"terms {name}", fetch)

    async def period_is_open(self, company: int, on: date, ctx: CallContext) -> bool:
        async def fetch() -> int | None:
            when: Domain = [["start_date", "<=", on], ["end_date", ">=", on], ["type", "=", "standard"]]
            domain: Domain = [["company", "=", company], ["state", "=", "open"], *when]
            rows = await self._rpc.rows("period.find", "account.period", domain, [], ctx, company=company, limit=1)
            return number(rows[0]) if rows else None

        return await self._found.get(f"period {company} {on}", fetch) is not None

    async def category(self, code: str, company: int, ctx: CallContext) -> Category | None:
        async def fetch() -> Category | None:
            domain: Domain = [["code", "=", code], ["accounting", "=", True]]
            fields = ["name", "account_revenue.code", "customer_taxes"]
            rows = await self._rpc.rows(
                "revenue_category.find", "product.category", domain, fields, ctx, company=company
            )
            return self._category(code, rows[0]) if rows else None

        return await self._categories.get(f"{company} {code}", fetch)

    def _category(self, code: str, row: Row) -> Category:
        taxes = row.fields.get("customer_taxes")
        ids = frozenset(tax for tax in taxes if isinstance(tax, int)) if isinstance(taxes, list) else frozenset()
        return Category(number(row), code, row.text("name"), linked_text(row, "account_revenue", "code"), ids)

    async def statuses(self, ctx: CallContext) -> Statuses:
        async def fetch() -> Statuses | None:
            # Their names are in the user's language, so what they mean decides.
            both: Domain = [["types", "in", ["project"]], ["types", "in", ["task"]]]
            fields = ["progress", "default"]
            rows = await self._rpc.rows("status.find", "project.work.status", both, fields, ctx)
            begun = [row for row in rows if row.fields.get("progress") is None]
            begun.sort(key=lambda row: not row.flag("default"))
            done = [row for row in rows if row.fields.get("progress") is not None and row.decimal("progress") == 1]
            return Statuses(number(begun[0]), number(done[0])) if begun and done else None

        found = await self._statuses.get("", fetch)
        if found is None:
            words = "needs a work status without progress and one with 100 %, both for projects and tasks; add them"
            raise ErpAnswerIncomplete(self._rpc.system, words)
        return found

    async def unit(self, symbol: Unit, ctx: CallContext) -> int:
        async def fetch() -> int | None:
            rows = await self._rpc.rows("unit.find", "product.uom", [["symbol", "=", symbol]], [], ctx, limit=1)
            return number(rows[0]) if rows else None

        found = await self._settings.get(f"unit {symbol}", fetch)
        if found is None:
            raise ErpAnswerIncomplete(self._rpc.system, f"lacks the unit of measure {symbol!r} of its module product")
        return found

    async def product(self, category: Category, symbol: Unit, ctx: CallContext) -> int:
        """What tasks of this revenue category are billed through; made if it is not there."""
        kind, title = _PRODUCTS[symbol]
        code = f"{category.code}:{kind}"

        async def fetch() -> int | None:
            unit = await self.unit(symbol, ctx)
            found = await self._product(code, category, unit, ctx)
            if found is None:
                template: Values = {
                    "code": code,
                    "name": f"{title}: {category.name}",
                    "type": "service",
                    "default_uom": unit,
                    "list_price": Decimal(0),
                    "account_category": category.id,
                    "products": [new({})],
                }
                await self.add_products("revenue_product.create", [template], ctx)
                found = await self._product(code, category, unit, ctx)
            return found

        made = await self._settings.get(f"product {code}", fetch)
        if made is None:
            raise ErpAnswerIncomplete(self._rpc.system, f"did not keep the product {code}; look at it in Tryton")
        return made

    async def add_products(self, operation: str, templates: Sequence[Values], ctx: CallContext) -> None:
        """Those whose code is not taken; what has the others is for the caller to look at."""
        try:
            await self._rpc.create(operation, "product.template", templates, ctx)
        except ErpRejected:
            domain: Domain = [["code", "in", [template["code"] for template in templates]]]
            rows = await self._rpc.rows("product.find", "product.product", domain, ["code"], ctx)
            taken = {row.text("code") for row in rows}
            if not taken:
                raise
            left = [template for template in templates if template["code"] not in taken]
            if left:
                await self._rpc.create(operation, "product.template", left, ctx)

    async def _product(self, code: str, category: Category, unit: int, ctx: CallContext) -> int | None:
        what: Domain = [["code", "=", code], ["account_category", "=", category.id], ["default_uom", "=", unit]]
        rows = await self._rpc.rows("revenue_product.find", "product.product", what, [], ctx, limit=1)
        return number(rows[0]) if rows else None


def _tax(row: Row) -> Tax:
    rate = row.decimal("rate") if row.fields.get("rate") is not None else None
    return Tax(number(row), row.optional("description") or "", rate == 0)
