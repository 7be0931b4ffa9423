"""What a contract should be and what its ERP holds: worked out alike for a run and for the preview of a replay.

`intend` needs the database's knowledge alone; `see` reads the ERP. Neither writes anything anywhere.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from sync_core.checks import Finding, contract_findings, reference_findings
from sync_core.contract import Contract, Stage
from sync_core.derive import derive
from sync_core.desired import DatedRate, Desired, Found, LabourCategory, Scalar
from sync_core.domains.conflicts import Difference, Knowledge, Sent, settle
from sync_core.domains.domains import Owner
from sync_core.domains.earlier import earlier_values
from sync_core.engine.claim import Loaded
from sync_core.errors import ErrorClass, Function, StoredEventUnreadable
from sync_core.estate.estate import Estate
from sync_core.estate.ownership import rule_for
from sync_core.fold import fold
from sync_core.keys import BusinessKey, ErpRef, contract_key, part_key
from sync_core.lanes.batches import posted_refs
from sync_core.life import reused
from sync_core.life.closing import closed_if_billed, left_to_bill
from sync_core.life.lifecycle import on_day
from sync_core.life.reused import hours_before
from sync_core.master.match import Identified, Masters, identify
from sync_core.moving.moving import Placement, rest, signed_anew
from sync_core.plan import Action, Plan, diff
from sync_core.ports import CallContext, Capabilities, ErpConnector, Observation, Scope
from sync_core.references import references
from sync_core.references.references import Answer, Question, month_of

_NOTHING_KNOWN = Knowledge()
_CAUSES = {
    ErrorClass.OWNERSHIP_CONFLICT: ("ownership_conflict", Function.FINANCE_OPERATIONS),
    ErrorClass.DUPLICATE_FOUND: ("double_in_erp", Function.FINANCE_OPERATIONS),
    ErrorClass.MISSING_DATA: (reused.CAUSE, Function.LEGAL),
}


@dataclass(frozen=True, slots=True)
class Intent:
    """What should be, as far as it is known without the ERP.

    `contract` is as it stands today. `desired` None: nothing was signed, or `findings` say what the contract lacks.
    `connector` None beside a desired state: no ERP of the estate has anything to do with it.
    """

    contract: Contract
    findings: tuple[Finding, ...] = ()
    misplaced: Finding | None = None  # its project stands in another ERP than the one it belongs to now
    desired: Desired | None = None
    lane: str = ""
    connector: ErpConnector | None = None
    placement: Placement | None = None  # since it was moved
    provisions: bool = False  # something has to exist for it, so it is checked
    whole: Desired | None = None  # while it leaves an ERP: what the contract asks for, invoiced or not
    values: Mapping[str, Scalar] = field(default_factory=dict)  # what master data says otherwise than the contract
    anew: bool = False  # it was signed anew after an end
    untouched: bool = False  # and nothing was done for that agreement yet

    @property
    def signed(self) -> bool:
        return self.contract.signed_at is not None

    @property
    def stops(self) -> tuple[Finding, ...]:
        return (*self.findings, *((self.misplaced,) if self.misplaced else ()))


@dataclass(frozen=True, slots=True)
class Sight:
    """What the ERP holds, what would be done, and what speaks against doing it."""

    scope: Scope
    desired: Desired  # without the kinds for which this ERP has no place
    observed: Observation
    plan: Plan
    findings: tuple[Finding, ...]
    looked_for: frozenset[str]  # in the ERP's master data
    tasks: tuple[Finding, ...]  # for people, and nothing waits for them
    wanted: Desired  # by the contract alone: `desired` has the ERP's value where that stands
    left: tuple[Difference, ...] = ()  # what stands in the ERP although the contract says otherwise
    values: Mapping[str, Scalar] = field(default_factory=dict)  # the same by the contract's names of the fields
    ours: Sent = frozenset()  # values that this engine wrote and that nobody has seen confirmed before


def intend(loaded: Loaded, estate: Estate, connectors: Mapping[str, ErpConnector], *, now: datetime) -> Intent:
    """Raises StoredEventUnreadable."""
    if loaded.unreadable is not None:
        raise StoredEventUnreadable(f"a stored event cannot be read any more: {loaded.unreadable}")
    stays = Placement(loaded.project_in) if loaded.awaited and loaded.project_in else None
    contract, placement = fold(loaded.events, day_at=estate.day_at), loaded.placement or stays
    anew = reused.anew(contract, loaded.events, loaded.done, estate.day_at)
    if anew is not None and anew.untouched and placement is not None:
        placement = signed_anew(placement, contract.terms)
    contract = reused.with_own(contract, anew.own) if anew is not None else contract
    intent = intend_known(contract, loaded.masters, loaded.project_in, estate, connectors, now=now, placement=placement)
    if anew is None or intent.desired is None:
        return intent
    return _anew(replace(intent, anew=True, untouched=anew.untouched), intent.desired, anew.unconfirmed)


def _anew(intent: Intent, desired: Desired, unconfirmed: Set[str]) -> Intent:
    """Of a contract that was signed anew. What an ERP that it left invoiced under the same key stops it as well."""
    left = intent.placement.behind.values() if intent.placement else ()
    before = {key for behind in left for key in behind.milestones}
    keys = {one: part_key(desired.contract, "M", one) for one in unconfirmed}
    taken = [one for one, key in keys.items() if key in before]
    if taken and intent.provisions:
        return replace(intent, findings=(*intent.findings, reused.finding(taken)), desired=None, connector=None)
    marked, whole = frozenset(keys.values()), intent.whole
    whole = replace(whole, unconfirmed=marked) if whole else None
    return replace(intent, desired=replace(desired, unconfirmed=marked), whole=whole)


def intend_known(
    contract: Contract, masters: Masters | None, project_in: str | None, estate: Estate,
    connectors: Mapping[str, ErpConnector], *, now: datetime, placement: Placement | None = None,
) -> Intent:  # fmt: skip
    """With what master data says of its customer; a validation before signature asks here too."""
    owned = rule_for(estate.ownership, "customer.name").owner is Owner.MDM
    known = identify(contract, masters, owned=owned, on=local_day(contract, estate, now))
    intent = intend_of(known.contract, project_in, estate, connectors, now=now, placement=placement)
    return _with_master(intent, known, estate)


def _with_master(intent: Intent, known: Identified, estate: Estate) -> Intent:
    """What master data says of the customer and the legal entity stops a contract before its ERP is read."""
    if known.findings and intent.provisions:
        return replace(intent, findings=(*intent.findings, *known.findings), desired=None, connector=None)
    system = estate.mdms.get(known.record.system) if known.record else None
    desired = intent.desired
    if desired is not None and system is not None and system.creates_customers:
        desired = replace(desired, may_create_customer=True)
    return replace(intent, desired=desired, values=known.values)


def intend_of(
    contract: Contract,
    project_in: str | None,
    estate: Estate,
    connectors: Mapping[str, ErpConnector],
    *,
    now: datetime,
    placement: Placement | None = None,
) -> Intent:
    """`project_in`: the ERP that holds its project. The back-test of a policy asks here too."""
    day = local_day(contract, estate, now)
    standing = on_day(contract, day)
    intent = Intent(standing.contract, placement=placement, provisions=standing.wanted is not None)
    if not intent.signed:
        return intent
    no_terms = standing.contract.terms is None and standing.contract.stage is Stage.SIGNED
    if (intent.provisions or no_terms) and (findings := contract_findings(standing.contract, estate)):
        return replace(intent, findings=tuple(findings))
    desired = derive(contract, estate, on=day)
    if placement is not None and placement.leaving is not None:
        nothing = Desired(desired.contract, placement.leaving, (), may_create_customer=False)
        there = connectors.get(nothing.lane)
        return replace(intent, desired=nothing, whole=desired, lane=nothing.lane, connector=there)
    if placement is not None:
        desired = rest(desired, standing.contract.terms, placement)
    lane = desired.lane if desired.project else project_in or desired.lane
    if project_in not in (None, lane):
        return replace(intent, misplaced=_elsewhere(project_in or "", lane))
    return replace(intent, desired=desired, lane=lane, connector=connectors.get(lane))


async def see(
    intent: Intent, desired: Desired, connector: ErpConnector, known: Loaded, estate: Estate, ctx: CallContext,
    *, now: datetime,
) -> Sight:  # fmt: skip
    """A fresh read of the ERP and the plan that follows from it. Raises what the connector raises."""
    over_time = connector.capabilities.dated_rates  # this read may say that the ERP's release has no such prices
    scope = scope_of(intent.contract, desired.priced(over_time=over_time), estate)
    observed = await connector.observe(scope, ctx)
    if intent.untouched and hours_before(observed.found, known.known.get(scope.contract)):
        desired = replace(desired, objects=())  # what the agreement before left open closes first
    # What a batch wrote while newer events came is ours until it is journalled, and so is what a lost worker may have.
    wrote = known.unsure or bool(posted_refs(observed.answers, scope.contract, known.known))
    capabilities = connector.capabilities

    def wanted_of(contract: Contract) -> Desired | None:
        there = intend_known(contract, known.masters, None, estate, {}, now=now, placement=intent.placement).desired
        return there.priced(over_time=capabilities.dated_rates) if there else None

    unseen = wrote or observed.handed
    sent = earlier_values(known.events, wanted_of, estate.day_at, capabilities.keeps) if unseen else frozenset()
    knowledge = Knowledge(known.agreed.get(intent.lane, {}), frozenset(known.kept), sent)
    sight = judged(scope, desired, observed, estate, capabilities, known=known.known, knowledge=knowledge)
    return replace(sight, ours=sent if wrote else frozenset())


def judged(
    scope: Scope,
    desired: Desired,
    observed: Observation,
    estate: Estate,
    capabilities: Capabilities,
    *,
    known: Mapping[BusinessKey, ErpRef],
    knowledge: Knowledge = _NOTHING_KNOWN,
) -> Sight:
    """What follows from a read, whether fresh or put together from what is known (`references.validation`)."""
    desired = closed_if_billed(representable(desired, capabilities), observed.found)
    settled = settle(desired, diff(desired, observed.found, keep=known), knowledge, estate.ownership)
    looked, plan = reference_findings(desired, observed, estate, capabilities), settled.plan
    found = (*looked.findings, *_conflicts(plan))
    tasks = (*_tasks(plan), *([desired.unbilled] if desired.unbilled and desired.project else []))
    return Sight(scope, settled.desired, observed, plan, found, looked.causes, tasks, desired, settled.left,
                 settled.values)  # fmt: skip


def answers_of(sight: Sight, connector: ErpConnector, now: datetime) -> dict[Question, Answer]:
    """What this read says to all contracts that refer to the same master data."""
    scope, observed = sight.scope, sight.observed
    return references.answers_of(connector.name, scope, observed, connector.capabilities, month_of(now))


def local_day(contract: Contract, estate: Estate, now: datetime) -> date:
    """The day it is at the legal entity: rates change at its midnight."""
    return estate.day_at(contract.terms.legal_entity if contract.terms else "", now)


def scope_of(contract: Contract, desired: Desired, estate: Estate) -> Scope:
    """What to read from the ERP for this contract, also when it wants nothing to exist any more."""
    terms = contract.terms
    assert terms is not None  # noqa: S101 - a contract without terms never passes the checks
    revenue = {o.revenue_category for o in desired.objects if hasattr(o, "revenue_category") and o.revenue_category}
    return Scope(
        contract=contract_key(estate.clms[contract.source].name, contract.external_id),
        legal_entity=terms.legal_entity,
        customer=BusinessKey(terms.customer.code),
        tax_code=estate.tax_code_of(terms),
        payment_terms=terms.billing.payment_terms,
        labour_categories=tuple(o.key for o in desired.objects if isinstance(o, LabourCategory)),
        revenue_categories=tuple(sorted(revenue)),
    )


def representable(desired: Desired, capabilities: Capabilities) -> Desired:
    """Without what this ERP has no place for: whole kinds, prices of other days, and the ends of long names."""
    desired = desired.priced(over_time=capabilities.dated_rates)
    held = tuple(o for o in desired.objects if o.kind in capabilities.kinds)
    if capabilities.keeps is not None:
        kept = tuple(capabilities.keeps(o) for o in held)
        return replace(desired, objects=kept)
    return desired if len(held) == len(desired.objects) else replace(desired, objects=held)


def _conflicts(plan: Plan) -> list[Finding]:
    """One finding of each kind, however many objects it concerns."""
    told: dict[ErrorClass, list[str]] = {}
    for operation in plan.conflicts:
        told.setdefault(operation.why or ErrorClass.DUPLICATE_FOUND, []).append(operation.words)
    return [Finding(why, *_CAUSES[why], "; ".join(sorted(words))) for why, words in told.items()]


def _tasks(plan: Plan) -> Iterator[Finding]:
    """What was invoiced otherwise than the contract says now; its money is what is to be credited and billed anew."""
    told = sorted(((o.words, o.difference) for o in plan.tasks if o.difference), key=lambda one: one[0])
    if told:
        words, parts = "; ".join(words for words, _ in told), tuple(difference for _, difference in told)
        money = sum((abs(difference.amount) for difference in parts), Decimal(0))
        yield Finding(ErrorClass.ERP_REJECTED, "billed_differs", Function.FINANCE_OPERATIONS, words, money, parts)


def newly_told(plan: Plan, desired: Desired, ended: Desired, found: Sequence[Found]) -> Iterator[Finding]:
    """Tasks once the plan was carried out: what an `ended` contract has left to bill, and a price from a day on that
    stands now, where hours are invoiced at another one.
    """
    made = any(o.action is Action.CREATE and isinstance(o.wanted, DatedRate) for o in plan.operations)
    if made and not plan.tasks:
        yield from _tasks(diff(desired, found))
    if left := left_to_bill(ended, found):
        yield left


def _elsewhere(held_by: str, wanted: str) -> Finding:
    words = (
        f"its project stands in {held_by}, the contract now belongs to {wanted}; move it there, or close the one in "
        f"{held_by}"
    )
    return Finding(ErrorClass.OWNERSHIP_CONFLICT, "project_elsewhere", Function.FINANCE_OPERATIONS, words)
