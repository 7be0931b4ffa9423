"""Which reads of an ERP answer the questions that are new or have aged. Pure.

A read answers many questions at once, and a customer's taxes only together with a tax code and revenue categories. So
each question of that kind is a read of its own, and whatever else is asked is spread over these.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

import orjson

from sync_core.keys import BusinessKey, contract_key
from sync_core.ports import Scope
from sync_core.references.references import Question, What

NOBODYS: Final = contract_key("tieline", "references")  # a contract that no CLM has: only master data is read
_TOGETHER: Final = 50  # codes in one read: they travel in a URL


def scopes_of(questions: Sequence[Question]) -> list[Scope]:
    """Of one ERP; oldest first, as they are given."""
    entities = dict.fromkeys(q.legal_entity for q in questions if q.legal_entity)
    return [scope for entity in entities for scope in _of_entity(entity, questions)]


def _of_entity(entity: str, questions: Sequence[Question]) -> Iterator[Scope]:
    def codes(what: What) -> list[str]:
        return [q.code for q in questions if q.legal_entity == entity and q.what is what]

    taxed = [_taxing(q) for q in questions if q.legal_entity == entity and q.what is What.CUSTOMER_TAX]
    taxed = list(dict.fromkeys(taxed))
    seen = {customer for customer, _, _ in taxed}
    others = [code for code in codes(What.CUSTOMER) if code not in seen]
    asked = {tax for _, tax, _ in taxed}
    taxes = [code for code in codes(What.TAX_CODE) if (code or None) not in asked]
    covered = {code for _, _, some in taxed for code in some}
    revenue = _chunks([code for code in codes(What.REVENUE_CATEGORY) if code not in covered])
    bare = [
        (customer or "", tax or None, tuple(some or ())) for customer, tax, some in zip_longest(others, taxes, revenue)
    ]
    labour = _chunks(codes(What.LABOUR_CATEGORY))
    for who, terms, categories in zip_longest([*taxed, *bare], codes(What.PAYMENT_TERMS), labour):
        customer, tax, some = who or ("", None, ())
        yield Scope(
            contract=NOBODYS, legal_entity=entity, customer=BusinessKey(customer), tax_code=tax,
            payment_terms=terms or "", labour_categories=tuple(BusinessKey(c) for c in categories or ()),
            revenue_categories=some,
        )  # fmt: skip
    if not taxed and not bare and not codes(What.PAYMENT_TERMS) and not codes(What.LABOUR_CATEGORY):
        yield Scope(NOBODYS, entity, BusinessKey(""), None, "")  # the entity and its period


def _chunks(codes: Sequence[str]) -> list[Sequence[str]]:
    return [codes[at : at + _TOGETHER] for at in range(0, len(codes), _TOGETHER)]


def _taxing(question: Question) -> tuple[str, str | None, tuple[str, ...]]:
    """Customer, tax code, revenue categories."""
    tax, categories, *_ = orjson.loads(question.besides)
    return question.code, tax, tuple(categories)
