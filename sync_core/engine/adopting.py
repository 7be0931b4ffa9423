"""A contract whose project the ERP held before Tieline came: our key is written on it, once the ERP may be written to.

From then on any run finds it by its key, and what differs is repaired by the usual plan. Writing a key is safe to
repeat, so a run that dies in between leaves nothing to clean up. The run looks first: what bears our key already gets
none again, and a contract that has another project by now is left to a person.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sync_core.clock import Clock
from sync_core.desired import Kind
from sync_core.engine.apply import sent
from sync_core.engine.items import ItemEnd, ReplayItem
from sync_core.engine.look import Sight
from sync_core.engine.outcome import Outcome
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Erp, ErpMode
from sync_core.findings import Finding
from sync_core.keys import BusinessKey, ErpRef
from sync_core.moving.adoption import Adopted, Result
from sync_core.moving.observing import Observed
from sync_core.plan import Action, Operation, Plan
from sync_core.ports import CallContext, ErpConnector, ListsProjects, Observation
from sync_core.replay.replay import ItemState

WAITS: Final = "adoption_waits"  # of the preview of a move alone


def not_yet(adoption: Adopted | None, erp: Erp | None) -> Observed | None:
    """What is said of an adopted project while its ERP is only observed; None: go on."""
    if adoption is None or adoption.result is not Result.MATCHED or erp is None or erp.mode is not ErpMode.OBSERVE:
        return None
    return Observed(erp.name, f"{erp.name} is only observed; it is adopted as {adoption.words}", (), ())


def refusal(adoption: Adopted | None, lane: str) -> Finding | None:
    """The exception of a contract that was looked for and not found for certain, where it is not created."""
    return adoption.finding if adoption is not None and adoption.lane == lane else None


def waits(adoption: Adopted | None, lane: str) -> Finding | None:
    """Why a contract does not leave this ERP yet; None: it may. What does not bear our keys would not be closed there,
    and be billed beside what is made elsewhere.
    """
    adopted = _matched(adoption, lane)
    if adopted is None:
        return None
    words = f"project {_project(adopted)}, which it was adopted as in {lane}, does not bear our keys yet"
    words += "; its next run there writes them, move it after that"
    return Finding(ErrorClass.TRANSIENT, WAITS, Function.FINANCE_OPERATIONS, words)


async def ahead(adoption: Adopted | None, sight: Sight, connector: ErpConnector, ctx: CallContext) -> Sight:
    """What the preview of a replay shows of a contract that is to be adopted: our keys are written, and that is all.

    The rest of its plan is not known before the ERP shows it under them.
    """
    labels = _left(adoption, sight, connector)
    if adoption is None or labels is None:
        return sight
    shown = replace(sight, plan=labels)
    if not isinstance(connector, ListsProjects):
        return replace(shown, findings=(*sight.findings, _unlabelled(connector)))
    is_open = sight.wanted.project is None or await _is_open(adoption, connector, ctx)
    return shown if is_open else replace(shown, findings=(*sight.findings, _closed(adoption)))


def carried_out(item: ReplayItem | None, sight: Sight) -> bool:
    """Whether a replay was to have our keys written, and they stand there."""
    if item is None or not item.adopted or any(o.action is Action.ADOPT for o in sight.plan.operations):
        return False
    return item.adopted <= {(found.kind, str(found.key), str(found.ref)) for found in sight.observed.found}


def ends_adopted(outcome: Outcome, now: datetime) -> None:
    """The item has done what was confirmed. What differs between contract and project is another run's."""
    words = "it bears our keys now; what differs from the contract is brought in order by its next run"
    outcome.end = ItemEnd(ItemState.VERIFIED, words)
    outcome.name, outcome.state, outcome.refund, outcome.note = "waiting", "waiting", True, words
    outcome.seen_rev, outcome.next_due = outcome.claimed.done_rev, now


async def take(
    adoption: Adopted | None,
    look: Callable[[], Awaitable[Sight]],
    connector: ErpConnector,
    clock: Clock,
    outcome: Outcome,
    ctx: CallContext,
    may: Callable[[Plan], bool],
) -> Sight:
    """What `look` sees, once our keys are written on what was adopted. Raises what the connector raises.

    `may` is asked before the first one. While the adopted project does not stand open under our key there is a finding,
    so none is made beside it.
    """
    sight, adopted = await look(), _matched(adoption, connector.name)
    if adopted is None:
        return sight
    if other := _another(adopted, sight.observed):
        if await _is_open(adopted, connector, ctx):
            outcome.tasks.append(other)
        else:
            outcome.taken = adopted.decided_at  # nothing is left to be adopted, so nothing is left to say
        return sight
    labels = _labels(sight.scope.contract, _unknown(adopted, sight.observed))
    if labels.operations and not may(labels):
        return sight
    return await _labelled(adopted, sight, look, connector, clock, outcome, ctx)


async def _labelled(
    adoption: Adopted, sight: Sight, look: Callable[[], Awaitable[Sight]], connector: ErpConnector, clock: Clock,
    outcome: Outcome, ctx: CallContext,
) -> Sight:  # fmt: skip
    for projects in (True, False):  # a closed one shows itself before its parts are asked for
        left = [one for one in _unknown(adoption, sight.observed) if (one[0] is Kind.PROJECT) is projects]
        if left and not isinstance(connector, ListsProjects):
            outcome.findings.append(_unlabelled(connector))
            return sight
        if left and connector.capabilities.batches is not None:
            return replace(sight, plan=_labels(sight.scope.contract, _unknown(adoption, sight.observed)))
        if left:
            await _write_keys(left, connector, clock, outcome, ctx)
            sight = await look()
        if projects and sight.wanted.project is not None and _gone(adoption, sight.observed):
            outcome.findings.append(_closed(adoption))
            return sight
    done = _gone(adoption, sight.observed) or not _unknown(adoption, sight.observed)
    outcome.taken = adoption.decided_at if done else None
    return sight


async def _write_keys(
    left: Sequence[tuple[Kind, BusinessKey, ErpRef]], connector: ErpConnector, clock: Clock, outcome: Outcome,
    ctx: CallContext,
) -> None:  # fmt: skip
    assert isinstance(connector, ListsProjects)  # noqa: S101 - looked at by the only caller
    for kind, key, ref in left:
        started, error = clock.now(), None
        try:
            await connector.relabel(kind, ref, key, ctx)
        except BaseException as wrong:
            error = wrong
            raise
        finally:
            outcome.operations.append(sent(_label(kind, key, ref), started, clock.now(), error))


async def _is_open(adoption: Adopted, connector: ErpConnector, ctx: CallContext) -> bool:
    return not isinstance(connector, ListsProjects) or await connector.project(_project(adoption), ctx) is not None


def _left(adoption: Adopted | None, sight: Sight, connector: ErpConnector) -> Plan | None:
    """The keys that are still to be written; None: none is, of this contract in this ERP."""
    adopted = _matched(adoption, connector.name)
    if adopted is None:
        return None
    left = _unknown(adopted, sight.observed)
    return _labels(sight.scope.contract, left) if left and not _another(adopted, sight.observed) else None


def _matched(adoption: Adopted | None, lane: str) -> Adopted | None:
    """What is to be adopted in this ERP."""
    return adoption if adoption and adoption.result is Result.MATCHED and adoption.lane == lane else None


def _unlabelled(connector: ErpConnector) -> Finding:
    words = f"{connector.name} cannot be told our keys any more; write them there by hand"
    return _ambiguous(words, ErrorClass.INTERNAL)


def _closed(adoption: Adopted) -> Finding:
    words = f"project {_project(adoption)}, which it was adopted as, is not open any more"
    words += "; open it there again, or adopt another one"
    return _ambiguous(words, ErrorClass.REFERENCE_MISSING)


def _project(adoption: Adopted) -> ErpRef:
    return next(ref for (kind, _), ref in adoption.refs.items() if kind is Kind.PROJECT)


def _gone(adoption: Adopted, observed: Observation) -> bool:
    """Whether the adopted project is not shown as open under our key."""
    return not any(f.active and f.kind is Kind.PROJECT and f.ref == _project(adoption) for f in observed.found)


def _unknown(adoption: Adopted, observed: Observation) -> list[tuple[Kind, BusinessKey, ErpRef]]:
    """What the ERP does not show under our keys yet."""
    shown = {(found.kind, found.key, found.ref) for found in observed.found}
    return [(kind, key, ref) for (kind, key), ref in adoption.refs.items() if (kind, key, ref) not in shown]


def _labels(contract: BusinessKey, left: Sequence[tuple[Kind, BusinessKey, ErpRef]]) -> Plan:
    """An ERP with batches gets the keys in one of its own, and the rest follows once it has answered."""
    return Plan(contract, tuple(_label(kind, key, ref) for kind, key, ref in left))


def _label(kind: Kind, key: BusinessKey, ref: ErpRef) -> Operation:
    return Operation(Action.ADOPT, kind, key, ref, after={"key": key})


def _another(adoption: Adopted, observed: Observation) -> Finding | None:
    """The contract got a project while it was being looked for: a second one under its key would be billed too."""
    for (kind, key), ref in adoption.refs.items():
        at_key = [f.ref for f in observed.found if f.kind is kind is Kind.PROJECT and f.key == key and f.active]
        if at_key and ref not in at_key:
            words = f"project {at_key[0]} bears its key by now, so {ref} is not adopted; close the one that is too many"
            return _ambiguous(words, ErrorClass.DUPLICATE_FOUND)
    return None


def _ambiguous(words: str, why: ErrorClass) -> Finding:
    return Finding(why, "adoption_ambiguous", Function.FINANCE_OPERATIONS, words)
