"""One fresh look at a contract: its works, its customer and roles as they are now, references as of a minute ago."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sync_core.clock import Clock
from sync_core.connectors.answers import Row
from sync_core.connectors.erp.tryton.kept import Kept
from sync_core.connectors.erp.tryton.master_data import Category, Company, MasterData, Tax
from sync_core.connectors.erp.tryton.note import of_contract
from sync_core.connectors.erp.tryton.rpc import Domain, Rpc, side_by_side
from sync_core.connectors.erp.tryton.wire import linked_text, number
from sync_core.connectors.erp.tryton.works import FIELDS, Tree, codes
from sync_core.desired import UNDECIDED, Found, Kind, Scalar
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import CallContext, Observation, References, Scope

_CUSTOMER = ("name", "identifiers.code", "customer_tax_rule.name")
_ROLE = ("code", "name", "account_category.code")
_RUN_LASTS = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Charging:
    """Which tax a customer will be charged under the contract's company, in the words of the contract.

    A tax rule is named after the tax it charges. A customer without one pays the tax of the product category:
    where the estate says so that is taken as decided, elsewhere the tax function has to decide first.
    """

    wanted: str | None
    taxes: Sequence[Tax]
    categories: Sequence[Category]
    category_tax_counts: bool

    def code(self, rule: str | None) -> Scalar:
        if rule is None:
            return self.wanted if self.category_tax_counts and self._by_category() else UNDECIDED
        return None if self.wanted is None and rule in {tax.code for tax in self.taxes if tax.exempt} else rule

    def _by_category(self) -> bool:
        fitting = {tax.id for tax in self.taxes if (tax.exempt if self.wanted is None else tax.code == self.wanted)}
        if self.wanted is None:
            return all(category.taxes <= fitting for category in self.categories)
        return bool(self.categories) and all(
            category.taxes and category.taxes <= fitting for category in self.categories
        )


class Lookout:
    """Observes contracts. A run looks three times: what its shared objects are it reads once, its own works always."""

    def __init__(self, rpc: Rpc, master_data: MasterData, clock: Clock, *, category_tax_counts: bool) -> None:
        self._rpc, self._master_data, self._clock = rpc, master_data, clock
        self._category_tax_counts = category_tax_counts
        self._recent = Kept[list[Row]](clock, lasts=_RUN_LASTS)

    async def observe(self, scope: Scope, ctx: CallContext) -> Observation:
        company = await self._master_data.company(scope.legal_entity, ctx)
        at = company.id if company else None
        async with side_by_side() as reads:
            customers = reads.create_task(self._customers(scope, at, ctx))
            roles = reads.create_task(self._roles(scope, at, ctx))
            works = reads.create_task(self._works(scope.contract, at, ctx))
            terms = reads.create_task(self._master_data.payment_terms(scope.payment_terms, ctx))
            if company is not None:
                today = self._clock.now().date()
                taxes = reads.create_task(self._master_data.taxes(company.id, scope.tax_code, ctx))
                period = reads.create_task(self._master_data.period_is_open(company.id, today, ctx))
                named = [
                    (code, reads.create_task(self._master_data.category(code, company.id, ctx)))
                    for code in scope.revenue_categories
                ]
        parties = customers.result()
        if company is None:
            charging = Charging(scope.tax_code, (), (), self._category_tax_counts)
            references = _nowhere(scope, terms.result() is not None)
        else:
            categories = {code: read.result() for code, read in named}
            known = [category for category in categories.values() if category is not None]
            charging = Charging(scope.tax_code, taxes.result(), known, self._category_tax_counts)
            missing = tuple(code for code, category in categories.items() if category is None)
            references = _references(scope, company, charging, parties, terms.result(), missing, period.result())
        found = [_customer(scope.customer, party) for party in parties]
        found += [_role(role) for role in roles.result()]
        return Observation(references, (*found, *Tree(works.result(), scope, charging.code).found()))

    async def _works(self, contract: BusinessKey, company: int | None, ctx: CallContext) -> list[Row]:
        return await self._rpc.rows(
            "contract.observe", "project.work", of_contract(contract), FIELDS, ctx, company=company
        )

    async def _customers(self, scope: Scope, company: int | None, ctx: CallContext) -> list[Row]:
        found: list[Row] = []

        async def fetch() -> list[Row] | None:
            domain: Domain = [["identifiers.code", "=", scope.customer]]
            rows = await self._rpc.rows("customer.find", "party.party", domain, _CUSTOMER, ctx, company=company)
            found.extend(rows)
            return rows if len(rows) == 1 and self._is_decided(rows[0]) else None

        return await self._recent.get(f"{scope.contract} {scope.customer}", fetch) or found

    def _is_decided(self, party: Row) -> bool:
        return self._category_tax_counts or linked_text(party, "customer_tax_rule", "name") is not None

    async def _roles(self, scope: Scope, company: int | None, ctx: CallContext) -> list[Row]:
        wanted = sorted(set(scope.labour_categories))
        found: list[Row] = []

        async def fetch() -> list[Row] | None:
            domain: Domain = [["code", "in", wanted], ["default_uom.symbol", "=", "h"]]
            rows = await self._rpc.rows("labour_category.find", "product.product", domain, _ROLE, ctx, company=company)
            found.extend(rows)
            return rows if len(rows) == len(wanted) else None

        return (await self._recent.get(f"{scope.contract} {wanted}", fetch) or found) if wanted else []


def _references(
    scope: Scope,
    company: Company,
    charging: Charging,
    parties: Sequence[Row],
    terms: int | None,
    missing: tuple[str, ...],
    period_is_open: bool,
) -> References:
    rules = [linked_text(party, "customer_tax_rule", "name") for party in parties] or [None]
    return References(
        legal_entity=ErpRef(str(company.id)),
        entity_currency=company.currency,
        tax_profile=scope.tax_code is None or sum(tax.code == scope.tax_code for tax in charging.taxes) == 1,
        customer_tax_profile=all(charging.code(rule) == scope.tax_code for rule in rules),
        payment_terms=terms is not None,
        missing_revenue_categories=missing,
        open_period=period_is_open,
    )


def _nowhere(scope: Scope, terms: bool) -> References:
    """Of a legal entity that is not there: nothing of it can be."""
    return References(None, None, scope.tax_code is None, True, terms, scope.revenue_categories)


def _customer(code: BusinessKey, party: Row) -> Found:
    others = [other for other in codes(party) if other != code]
    fields: dict[str, Scalar] = {"name": party.text("name"), "tax_id": others[0] if others else None}
    return Found(Kind.CUSTOMER, code, ErpRef(str(number(party))), fields)


def _role(product: Row) -> Found:
    fields: dict[str, Scalar] = {
        "name": product.text("name"),
        "revenue_category": linked_text(product, "account_category", "code"),
    }
    return Found(Kind.LABOUR_CATEGORY, BusinessKey(product.text("code")), ErpRef(str(number(product))), fields)
