"""What is known of an ERP's master data, question by question, so that a contract can be checked without asking. Pure.

An `Observation` of one contract is taken apart into answers that other contracts have in common (`answers_of`), and put
together again for a contract that no ERP has seen (`observation_of`). Each question names all that its answer depends
on, so that what is put together is what the ERP would say: how a customer is taxed, for one, may depend on the tax
code, on the revenue categories, and on whether the legal entity and the customer are there at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, TypeAlias

import orjson

from sync_core.desired import Found, Kind
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import Capabilities, Observation, References, Scope

LONGEST_CODE: Final = 200  # of a code that is worth asking an ERP for


class What(StrEnum):
    """What is asked."""

    CAPABILITIES = "capabilities"  # of the ERP itself
    LEGAL_ENTITY = "legal_entity"
    PERIOD = "period"
    TAX_CODE = "tax_code"
    PAYMENT_TERMS = "payment_terms"
    REVENUE_CATEGORY = "revenue_category"
    CUSTOMER = "customer"
    CUSTOMER_TAX = "customer_tax"
    LABOUR_CATEGORY = "labour_category"


# The causes that are looked for by each, as sync_core/cases/ownership.py names them.
CAUSES_OF: Final[Mapping[What, tuple[str, ...]]] = {
    What.CAPABILITIES: ("currency_differs", "labour_category_missing", "master_data_double"),
    What.LEGAL_ENTITY: ("legal_entity_missing", "currency_differs"),
    What.PERIOD: ("period_closed",),
    What.TAX_CODE: ("tax_profile_missing",),
    What.PAYMENT_TERMS: ("payment_terms_missing",),
    What.REVENUE_CATEGORY: ("revenue_category_missing",),
    What.CUSTOMER: ("customer_unknown", "master_data_double", "double_in_erp"),
    What.CUSTOMER_TAX: ("customer_tax_profile_missing",),
    What.LABOUR_CATEGORY: ("labour_category_missing", "master_data_double", "double_in_erp"),
}

# Whether it is there; the currency of a legal entity's books ("": there is no such entity); the ERP's references of all
# that is there under a shared key; what an ERP can do.
Answer: TypeAlias = bool | str | tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Question:
    system: str
    legal_entity: str  # "" of what concerns the whole ERP
    what: What
    code: str
    besides: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    answer: Answer
    observed_at: datetime


_FOREIGN = "foreign_currency"
_DATED = "dated_rates"


def month_of(now: datetime) -> str:
    """Whether its period is open is asked for the day of the read, which ERPs take in UTC."""
    return f"{now:%Y-%m}"


def answers_of(
    system: str, scope: Scope, observed: Observation, capabilities: Capabilities, month: str
) -> dict[Question, Answer]:
    """What one fresh read says to all of a contract's questions. `month` ("2026-11"): of the day of the read."""
    refs = observed.references
    held: dict[tuple[Kind, BusinessKey], list[str]] = {}
    for found in observed.found:
        if found.active and found.kind.shared:
            held.setdefault((found.kind, found.key), []).append(found.ref)
    there = refs.legal_entity is not None
    answers: dict[Question, Answer] = {
        Question(system, "", What.CAPABILITIES, ""): _stated(capabilities),
        Question(system, scope.legal_entity, What.LEGAL_ENTITY, ""): (refs.entity_currency or "") if there else "",
    }
    customer = (Kind.CUSTOMER, scope.customer) in held
    for question in _of_scope(system, scope, month, there=there, customer=customer):
        answers[question] = _answer(question, scope, refs, held)
    return answers


def _answer(
    question: Question, scope: Scope, refs: References, held: Mapping[tuple[Kind, BusinessKey], Sequence[str]]
) -> Answer:
    match question.what:
        case What.PERIOD:
            return refs.open_period
        case What.TAX_CODE:
            return refs.tax_profile
        case What.PAYMENT_TERMS:
            return refs.payment_terms
        case What.REVENUE_CATEGORY:
            return question.code not in refs.missing_revenue_categories
        case What.CUSTOMER:
            return tuple(sorted(held.get((Kind.CUSTOMER, scope.customer), ())))
        case What.CUSTOMER_TAX:
            return refs.customer_tax_profile
    return tuple(sorted(held.get((Kind.LABOUR_CATEGORY, BusinessKey(question.code)), ())))


def _of_scope(system: str, scope: Scope, month: str, *, there: bool, customer: bool) -> Iterator[Question]:
    """Without the two that decide which others are asked. Of a legal entity that is not there little can be."""
    entity = scope.legal_entity
    if there:
        yield Question(system, entity, What.PERIOD, month)
        yield Question(system, entity, What.TAX_CODE, scope.tax_code or "")
        yield Question(system, entity, What.PAYMENT_TERMS, scope.payment_terms)
        for code in scope.revenue_categories:
            yield Question(system, entity, What.REVENUE_CATEGORY, code)
    yield Question(system, entity, What.CUSTOMER, scope.customer)
    besides = [scope.tax_code, sorted(scope.revenue_categories), there, customer]
    yield Question(system, entity, What.CUSTOMER_TAX, scope.customer, orjson.dumps(besides).decode())
    for category in scope.labour_categories:
        yield Question(system, entity, What.LABOUR_CATEGORY, category)


def questions_of(system: str, scope: Scope, month: str) -> list[Question]:
    """All that may have to be known of a contract, whatever the answers to the first ones are."""
    asked = {Question(system, "", What.CAPABILITIES, ""), Question(system, scope.legal_entity, What.LEGAL_ENTITY, "")}
    for there in (True, False):
        for customer in (True, False):
            asked.update(_of_scope(system, scope, month, there=there, customer=customer))
    return sorted(asked)


@dataclass(frozen=True, slots=True)
class Put:
    """What the ERP would say as far as it is known. What is not known stands there as if nothing were amiss."""

    observed: Observation
    capabilities: Capabilities
    used: tuple[Known, ...]
    unknown: tuple[Question, ...]


def observation_of(system: str, scope: Scope, known: Mapping[Question, Known], month: str, *, currency: str) -> Put:
    """`currency`: the contract's, taken for that of books that are not known."""
    used: list[Known] = []
    unknown: list[Question] = []

    def answer(question: Question, unless: Answer) -> Answer:
        found = known.get(question)
        if found is None:
            unknown.append(question)
            return unless
        used.append(found)
        return found.answer

    capable = answer(Question(system, "", What.CAPABILITIES, ""), _stated(Capabilities()))
    books = answer(Question(system, scope.legal_entity, What.LEGAL_ENTITY, ""), currency)
    there = books != ""
    customer = Question(system, scope.legal_entity, What.CUSTOMER, scope.customer)
    held = {customer: _refs(answer(customer, ("?",)))}
    answers: dict[Question, Answer] = {}
    for question in _of_scope(system, scope, month, there=there, customer=bool(held[customer])):
        if question.what is What.LABOUR_CATEGORY:
            held[question] = _refs(answer(question, ("?",)))
        elif question != customer:
            answers[question] = answer(question, unless=True)
    references = References(
        legal_entity=ErpRef(scope.legal_entity) if there else None,
        entity_currency=str(books) if there else None,
        tax_profile=_all(answers, What.TAX_CODE),
        customer_tax_profile=_all(answers, What.CUSTOMER_TAX),
        payment_terms=_all(answers, What.PAYMENT_TERMS),
        missing_revenue_categories=tuple(
            code for code in scope.revenue_categories if not answers.get(_category(system, scope, code), True)
        ),
        open_period=_all(answers, What.PERIOD),
    )
    return Put(Observation(references, tuple(_found(held))), _capabilities(capable), tuple(used), tuple(unknown))


def _category(system: str, scope: Scope, code: str) -> Question:
    return Question(system, scope.legal_entity, What.REVENUE_CATEGORY, code)


def _all(answers: Mapping[Question, Answer], what: What) -> bool:
    return all(bool(answer) for question, answer in answers.items() if question.what is what)


def _refs(answer: Answer) -> tuple[str, ...]:
    return answer if isinstance(answer, tuple) else ()


def _found(held: Mapping[Question, Sequence[str]]) -> Iterator[Found]:
    for question, refs in held.items():
        kind = Kind.CUSTOMER if question.what is What.CUSTOMER else Kind.LABOUR_CATEGORY
        for ref in refs:
            yield Found(kind, BusinessKey(question.code), ErpRef(ref), {})


def _stated(capabilities: Capabilities) -> tuple[str, ...]:
    """What the checks ask of them."""
    foreign = (_FOREIGN,) if capabilities.foreign_currency else ()
    dated = (_DATED,) if capabilities.dated_rates else ()
    return (*sorted(kind.value for kind in capabilities.kinds), *foreign, *dated)


def _capabilities(stated: Answer) -> Capabilities:
    words = stated if isinstance(stated, tuple) else ()
    return Capabilities(
        kinds=frozenset(kind for kind in Kind if kind.value in words), foreign_currency=_FOREIGN in words,
        dated_rates=_DATED in words,
    )  # fmt: skip


def words_of(question: Question) -> str:
    """What is not known, for whoever asked."""
    system, entity, code = question.system, question.legal_entity, question.code
    named = {
        What.CAPABILITIES: f"what the ERP {system} can do",
        What.LEGAL_ENTITY: f"whether {system} has the legal entity {entity}, and the currency of its books",
        What.PERIOD: f"whether the accounting period {code} of {entity} is open in {system}",
        What.TAX_CODE: f"whether {system} has the tax code {code or 'of an exempt contract'} for {entity}",
        What.PAYMENT_TERMS: f"whether {system} has the payment terms {code}",
        What.REVENUE_CATEGORY: f"whether {system} has the revenue category {code}",
        What.CUSTOMER: f"whether {system} has the customer {code}",
        What.CUSTOMER_TAX: f"how the customer {code} is taxed in {system} for {entity}",
        What.LABOUR_CATEGORY: f"whether {system} has the labour category {code}",
    }
    return f"not known yet: {named[question.what]}; it has been asked for, validate again in a few minutes"
