"""What one release says of its contracts, in the terms of a contract here; or why nobody can say it.

What a release leaves out is taken from where a person would look for it: the award of the contract, the tender, the
day of publication. Such fields are noted as assumed, and never change what is on record. What it leaves out
altogether, such as the customer, stays empty: the contract's checks find it, like every other thing that a contract
lacks. The business key is ocid and contract id, because publishers number the contracts of each process anew.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from typing import Final

from sync_core.contract import BillingKind, BillingTerms, Milestone, Party, Stage, TaxAttributes, Terms
from sync_core.errors import InvalidMoney
from sync_core.keys import ExternalId
from sync_core.money import exponent
from sync_core.ocds import values
from sync_core.ocds.findings import Finding, Place, Unmapped, Why
from sync_core.ocds.organisations import LONGEST_KEY, country_of, id_of, key_of
from sync_core.ocds.packaging import Packed
from sync_core.ocds.release import Release
from sync_core.ocds.rules import Rules
from sync_core.ocds.values import Object, first, identifier, inner, items, text

MILESTONE: Final = "1"  # key of the one milestone over the whole value
_STAGES: Final[Mapping[str, Stage]] = {
    "pending": Stage.DRAFT,
    "cancelled": Stage.CANCELLED,
    "terminated": Stage.TERMINATED,
}
_AMENDS: Final = "contractamendment"  # the tag
_PLAIN: Final = re.compile(r"[^\x00-\x20\x7f-\xa0#/\\?%&\u2028\u2029\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class Noted:
    """One object of `contracts/amendments`."""

    key: str
    executed_at: datetime | None
    summary: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What one release says of one contract, whole."""

    place: Place
    contract_id: str  # as the release has it
    external_id: ExternalId
    published_at: datetime  # the release's date: what puts the releases of a contract in order
    terms: Terms
    stage: Stage
    signed_at: datetime
    ended_on: date
    buyer: str  # as the release names them: whether they changed does not depend on how the estate maps them
    supplier: str
    given: frozenset[str]  # fields of the terms that the release itself states
    amendments: tuple[Noted, ...] = ()
    amends: bool = False  # says of itself that it is one
    assumed: tuple[str, ...] = ()  # what was taken from elsewhere, in words

    @property
    def order(self) -> tuple[str, datetime, str, int]:
        return self.external_id, self.published_at, self.place.release_id, self.place.number


def read(packed: Packed, rules: Rules) -> list[Statement | Finding]:
    """One for each contract of the release, in its order; one finding alone where the release as a whole cannot be."""
    try:
        found = Release.of(packed)
        contracts = found.contracts()
    except Unmapped as wrong:
        return [Finding(wrong.why, packed.place, wrong.message)]
    said: list[Statement | Finding] = []
    for contract_id, contract in contracts:
        try:
            said.append(_Contract(found, rules, contract_id, contract).statement())
        except Unmapped as wrong:
            said.append(Finding(wrong.why, found.place, wrong.message, contract_id))
    return said


@dataclass(slots=True)
class _Contract:
    """One contract of a release while it is read."""

    release: Release
    rules: Rules
    contract_id: str
    contract: Object
    assumed: list[str] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    def statement(self) -> Statement:
        value, code = self._value()
        signed_at = self._signed_at()
        starts_on, ends_on = self._period(signed_at)
        buyer, customer = self._customer()
        supplier = self._supplier()
        rules, tender = self.rules, inner(self.release.whole, "tender")
        due = ends_on or starts_on
        terms = Terms(
            title=self._title(),
            customer=customer,
            legal_entity=rules.legal_entity(supplier),
            service_line=rules.service_line or text(tender.get("mainProcurementCategory"), 40) or "other",
            geography=rules.geography or customer.country or "unknown",
            currency=code,
            value=value,
            starts_on=starts_on,
            ends_on=ends_on,
            billing=BillingTerms(BillingKind.MILESTONES, rules.payment_terms),
            milestones=(Milestone(MILESTONE, "Contract value", value, due),) if value else (),
            tax=TaxAttributes(rules.tax_code),
            test=rules.trial,
        )
        return Statement(
            place=self.release.place,
            contract_id=self.contract_id,
            external_id=external_id(self.release.ocid, self.contract_id),
            published_at=self.release.published_at,
            terms=terms,
            stage=self._stage(),
            signed_at=signed_at,
            ended_on=min(due, self.release.published_at.date()),
            buyer=buyer,
            supplier=supplier[0] if supplier else "",
            given=frozenset(self.given),
            amendments=tuple(self._amendments()),
            amends=_AMENDS in values.texts(self.release.whole.get("tag")),
            assumed=tuple(self.assumed),
        )

    @property
    def award(self) -> Object:
        listed = items(self.release.whole.get("awards"))
        named = identifier(self.contract.get("awardID"))
        if not named and len(listed) == 1:
            return listed[0]
        return next((award for award in listed if named and identifier(award.get("id")) == named), {})

    def _value(self) -> tuple[Decimal, str]:
        stated, award = inner(self.contract, "value"), inner(self.award, "value")
        found = values.amount(stated.get("amount"), "contracts/value/amount")
        if found is None:
            found, stated = values.amount(award.get("amount"), "awards/value/amount"), award
            self.assumed.append("value: that of the award")
        if found is None:
            raise Unmapped(Why.VALUE_MISSING, "neither the contract nor its award has a value; add contracts/value")
        code = values.currency(stated.get("currency"))
        if not code:
            code = values.currency(award.get("currency"))
            self.assumed.append("currency: that of the award")
        if not code:
            raise Unmapped(Why.CURRENCY_MISSING, f"the value {found} has no currency; add contracts/value/currency")
        try:
            exponent(code)
        except InvalidMoney as wrong:
            raise Unmapped(Why.CURRENCY_UNKNOWN, f"contracts/value/currency: {text(wrong.message)}") from wrong
        if found < 0:
            words = f"a value of {found} {code} cannot be billed; ask the publisher what it means"
            raise Unmapped(Why.AMOUNT_NEGATIVE, words)
        exact, noisy = values.in_minor_units(found, code)
        if noisy:
            self.assumed.append(f"value: {found} is {exact} as a program computed it")
        self.given |= {"value", "currency"}
        return exact, code

    def _moment(self, holder: Object, name: str, where: str) -> datetime | None:
        return values.moment(holder.get(name), f"{where}/{name}")

    def _signed_at(self) -> datetime:
        stated = self._moment(self.contract, "dateSigned", "contracts")
        if stated is not None:
            self.given.add("signed_at")
            return stated.astimezone(UTC)
        award = self.award
        documents = [*items(self.contract.get("documents")), *items(award.get("documents"))]
        ways = (
            ("the award's date", self._moment(award, "date", "awards")),
            (
                "the first publication",
                values.earliest(self._moment(d, "datePublished", "documents") for d in documents),
            ),
            ("the start", self._moment(inner(self.contract, "period"), "startDate", "contracts/period")),
            ("the release's date", self.release.published_at),
        )
        words, found = next((words, at) for words, at in ways if at is not None)
        self.assumed.append(f"signature: {words}")
        return found.astimezone(UTC)

    def _period(self, signed_at: datetime) -> tuple[date, date | None]:
        zone = self.rules.zone
        stated = inner(self.contract, "period")
        begins = values.day(self._moment(stated, "startDate", "contracts/period"), zone)
        ends = values.day(self._moment(stated, "endDate", "contracts/period"), zone)
        self.given |= {name for name, known in (("starts_on", begins), ("ends_on", ends)) if known}
        planned = inner(self.award, "contractPeriod") or inner(self.release.whole, "tender", "contractPeriod")
        if begins is None:
            begins, words = self._assumed_start(planned, signed_at, zone)
            self.assumed.append(f"start: {words}")
        if ends is None:
            ends = values.later(begins, stated.get("durationInDays"))
            words = "the start and the duration"
            if ends is None:
                ends, words = self._assumed_end(planned, begins, zone)
            self.assumed += [f"end: {words}"] if ends else []
        return begins, ends

    def _assumed_start(self, planned: Object, signed_at: datetime, zone: tzinfo | None) -> tuple[date, str]:
        found = values.day(self._moment(planned, "startDate", "contractPeriod"), zone)
        return (found, "as planned") if found else (values.day(signed_at, zone) or signed_at.date(), "the signature")

    def _assumed_end(self, planned: Object, begins: date, zone: tzinfo | None) -> tuple[date | None, str]:
        found = values.day(self._moment(planned, "endDate", "contractPeriod"), zone)
        return found or values.later(begins, planned.get("durationInDays")), "as planned"

    def _title(self) -> str:
        stated = first(text(self.contract.get("title")), text(self.contract.get("description")))
        if stated:
            self.given.add("title")
            return stated
        tender, award = inner(self.release.whole, "tender"), self.award
        others = (text(holder.get(name)) for holder in (award, tender) for name in ("title", "description"))
        self.assumed.append("title: that of the award or the tender")
        return first(*others, f"Contract {text(self.contract_id, 80)}")

    def _customer(self) -> tuple[str, Party]:
        release = self.release
        named = (
            inner(release.whole, "buyer"),
            release.party("buyer"),
            inner(release.whole, "tender", "procuringEntity"),
            release.party("procuringEntity"),
        )
        found = next((release.organisation(one) for one in named if key_of(one)), None)
        if found is None:
            self.assumed.append("customer: none is named")
            return "", Party(self.rules.customer(""), "")
        self.given.add("customer")
        key, registered = key_of(found), inner(found, "identifier")
        tax_id = text(id_of(registered.get("id")), 60) or None
        name = first(text(found.get("name")), text(registered.get("legalName")), key)
        return key, Party(self.rules.customer(key), name, tax_id, country_of(found))

    def _supplier(self) -> tuple[str, ...]:
        release = self.release
        listed = items(self.contract.get("suppliers")) or items(self.award.get("suppliers"))
        found = tuple(key for one in listed or [release.party("supplier")] if (key := key_of(one)))
        if found:
            self.given.add("legal_entity")
        else:
            self.assumed.append("legal entity: no supplier is named")
        return found

    def _stage(self) -> Stage:
        status = next(values.texts(self.contract.get("status")), "")
        stage = _STAGES.get(status, Stage.SIGNED)
        signed = "signed_at" in self.given
        return Stage.SIGNED if stage is Stage.DRAFT and signed else stage

    def _amendments(self) -> Iterator[Noted]:
        listed = [*items(self.contract.get("amendments")), *items(self.contract.get("amendment"))]
        for number, one in enumerate(listed, 1):
            key = identifier(one.get("id")) or f"{text(one.get('date'))} {number}"
            why = first(text(one.get("description"), 500), text(one.get("rationale"), 500))
            yield Noted(text(key, 120), self._moment(one, "date", "contracts/amendments"), why)


def external_id(ocid: str, contract_id: str) -> ExternalId:
    """The contract's id here: readable, or with a digest where it would be too long or hold what URLs and keys use."""
    named = f"{ocid}:{contract_id}"
    if len(named) <= LONGEST_KEY and _PLAIN.fullmatch(named):
        return ExternalId(named)
    digest = hashlib.sha256(f"{ocid}\n{contract_id}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    readable = "-".join(_PLAIN.findall(named))[: LONGEST_KEY - 17]
    return ExternalId(f"{readable}~{digest}")
