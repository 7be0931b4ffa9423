"""Random contracts with what is wrong in real ones, and random ERPs that they are checked against."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from hypothesis import strategies as st

from sync_core.desired import Found, Kind
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import Capabilities, Observation, References, Scope
from tests.sows import milestone_terms, tm_terms

CUSTOMERS = ("CUST-1", "CUST-2", "CUST-3")
TAX_CODES = ("US-CA-STD", "GB-STD", "GB-ZERO")
CATEGORIES = ("SR", "JR", "PM")


@dataclass(frozen=True)
class World:
    """An ERP's master data. How a customer is taxed depends on as much as it does in any ERP that is known to us."""

    books: Mapping[str, str]  # legal entity: currency
    tax_codes: frozenset[tuple[str, str]]
    customers: Mapping[str, int]  # how often each is there
    taxed: frozenset[tuple[str, str | None]]  # customer, tax code
    untaxed_categories: frozenset[str]
    categories: Mapping[str, int]
    terms: frozenset[str]
    revenue: frozenset[str]
    open_for: frozenset[str]
    capabilities: Capabilities

    def observe(self, scope: Scope) -> Observation:
        books = self.books.get(scope.legal_entity)
        there = self.customers.get(scope.customer, 0)
        taxed = (scope.customer, scope.tax_code) in self.taxed and not (
            set(scope.revenue_categories) & self.untaxed_categories
        )
        references = References(
            legal_entity=ErpRef("1") if books else None,
            entity_currency=books,
            tax_profile=scope.tax_code is None or (scope.legal_entity, scope.tax_code) in self.tax_codes,
            customer_tax_profile=taxed or not there or not books,
            payment_terms=scope.payment_terms in self.terms,
            missing_revenue_categories=tuple(c for c in scope.revenue_categories if c not in self.revenue),
            open_period=scope.legal_entity in self.open_for,
        )
        found = [self._found(Kind.CUSTOMER, scope.customer, place) for place in range(there)]
        for code in scope.labour_categories:
            found += [self._found(Kind.LABOUR_CATEGORY, code, n) for n in range(self.categories.get(code, 0))]
        return Observation(references, tuple(found))

    @staticmethod
    def _found(kind: Kind, code: str, place: int) -> Found:
        return Found(kind, BusinessKey(code), ErpRef(f"{kind}-{code}-{place}"), {})


def _some(values: tuple[str, ...]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values))


entities = ("US01", "GB01")
worlds = st.builds(
    World,
    books=st.dictionaries(st.sampled_from(entities), st.sampled_from(["USD", "GBP"])),
    tax_codes=st.frozensets(st.tuples(st.sampled_from(entities), st.sampled_from(TAX_CODES))),
    customers=st.dictionaries(st.sampled_from(CUSTOMERS), st.integers(0, 2)),
    taxed=st.frozensets(st.tuples(st.sampled_from(CUSTOMERS), st.sampled_from([None, *TAX_CODES]))),
    untaxed_categories=_some(("REV-TM",)),
    categories=st.dictionaries(st.sampled_from(CATEGORIES), st.integers(0, 2)),
    terms=_some(("NET30", "NET60")),
    revenue=_some(("REV-MILESTONE", "REV-TM")),
    open_for=_some(entities),
    capabilities=st.builds(
        Capabilities,
        kinds=st.sampled_from([frozenset(Kind), frozenset(Kind) - {Kind.LABOUR_CATEGORY, Kind.LABOUR_RATE}]),
        foreign_currency=st.booleans(),
    ),
)


@st.composite
def terms(draw: st.DrawFn) -> dict[str, object]:
    """Mostly right, with one or two things that are wrong in real contracts."""
    by_time, entity = draw(st.booleans()), draw(st.sampled_from(["US01", "US01", "GB01", "GB01", "XX99", ""]))
    code = draw(st.sampled_from([*CUSTOMERS, *CUSTOMERS, " "]))
    customer = {"code": code, "name": "Harbour Mutual", "tax_id": "US-99-1", "country": "US"}
    value = draw(st.sampled_from(["25000.00", "25000.00", "48000.00", "48000.00", "250000.00", "1.005"]))
    billing = {"kind": "time_and_materials" if by_time else "milestones",
               "payment_terms": draw(st.sampled_from(["NET30", "NET60"]))}  # fmt: skip
    tax = draw(st.sampled_from([{"tax_code": "US-CA-STD"}, {"tax_code": "GB-STD"}, {"exempt": True}, {}]))
    changes: dict[str, object] = {
        "customer": customer, "legal_entity": entity, "value": value, "billing": billing, "tax": tax,
        "currency": draw(st.sampled_from(["USD", "USD", "GBP", "ZZZ"])),
        "po_number": draw(st.sampled_from(["PO-1", "PO-1", None])),
        "ends_on": draw(st.sampled_from([date(2026, 12, 31), date(2026, 3, 1)])).isoformat(),
        "lines": [{"key": "1", "description": "All", "amount": value}],
    }  # fmt: skip
    if by_time:
        kept = draw(st.lists(st.sampled_from(CATEGORIES), max_size=3))
        changes["rates"] = [
            {"category": c, "name": c, "rate": draw(st.sampled_from(["240.00", "160.00", "0"])), "planned_hours": "10"}
            for c in kept
        ]
        return tm_terms(**changes)
    amount = draw(st.sampled_from([value, value, value, "1.00"]))
    changes["milestones"] = [{"key": "all", "name": "All", "amount": amount, "due_on": "2026-09-30", "line": "1"}]
    return milestone_terms(**changes)
