"""A contract whose project the ERP held before Tieline came: our key is written on it, once the ERP may be written to.

From then on any run finds it by its key, and what differs is repaired by the usual plan. Writing a key is safe to
repeat, so a run that dies in between leaves nothing to clean up. The run looks first: what bears our key already gets
none again, and a contract that has another project by now is left to a person.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from sync_core.clock import Clock
from sync_core.desired import Kind
from sync_core.engine.claim import Loaded
from sync_core.engine.look import Sight
from sync_core.engine.outcome import Done, Outcome
from sync_core.errors import ErrorClass, Function
from sync_core.estate.estate import Erp, ErpMode
from sync_core.findings import Finding
from sync_core.keys import BusinessKey, ErpRef
from sync_core.moving.adoption import Adopted, Result
from sync_core.moving.observing import Observed
from sync_core.plan import Action, Operation, Plan
from sync_core.ports import CallContext, ErpConnector, ListsProjects, Observation


def not_yet(adoption: Adopted | None, erp: Erp | None) -> Observed | None:
    """What is said of an adopted project while its ERP is only observed; None: go on."""
    if adoption is None or adoption.result is not Result.MATCHED or erp is None or erp.mode is not ErpMode.OBSERVE:
        return None
    return Observed(erp.name, f"{erp.name} is only observed; it is adopted as {adoption.words}", (), ())


def refusal(adoption: Adopted | None, lane: str) -> Finding | None:
    """The exception of a contract that was looked for and not found for certain, where it is not created."""
    return adoption.finding if adoption is not None and adoption.lane == lane else None


def unadopted(loaded: Loaded, lane: str) -> list[str]:
    """Why a replay writes nothing for this contract: its project has to be adopted first, which was not confirmed."""
    adoption = loaded.adoption
    if adoption is None or adoption.result is not Result.MATCHED or adoption.lane != lane:
        return []
    if loaded.project_in == lane and any(
        kind is Kind.PROJECT and loaded.known.get(key) != ref for (kind, key), ref in adoption.refs.items()
    ):
        return []  # it has another one, and will not be adopted
    return [f"it is to be adopted first, as {adoption.words}"]


async def take(
    adoption: Adopted | None,
    look: Callable[[], Awaitable[Sight]],
    connector: ErpConnector,
    clock: Clock,
    outcome: Outcome,
    ctx: CallContext,
) -> Sight:
    """What `look` sees, once our keys are written on what was adopted. Raises what the connector raises.

    While the adopted project does not stand open under our key there is a finding, so none is made beside it.
    """
    sight = await look()
    if adoption is None or adoption.result is not Result.MATCHED or adoption.lane != connector.name:
        return sight
    if other := _another(adoption, sight.observed):
        # Once there is nothing left to be adopted, nothing is left to say.
        is_open = not isinstance(connector, ListsProjects) or await _is_open(connector, _project(adoption), ctx)
        outcome.tasks += [other] if is_open else []
        outcome.taken = None if is_open else adoption.decided_at
        return sight
    for projects in (True, False):  # a closed one shows itself before its parts are asked for
        left = [one for one in _unknown(adoption, sight.observed) if (one[0] is Kind.PROJECT) is projects]
        if left and not isinstance(connector, ListsProjects):
            words = f"{connector.name} cannot be told our keys any more; write them there by hand"
            outcome.findings.append(_ambiguous(words, ErrorClass.INTERNAL))
            return sight
        if left and connector.capabilities.batches is not None:
            return replace(sight, plan=_labels(sight.scope.contract, _unknown(adoption, sight.observed)))
        if left:
            await _write_keys(left, connector, clock, outcome, ctx)
            sight = await look()
        if projects and sight.wanted.project is not None and _gone(adoption, sight.observed):
            words = f"project {_project(adoption)}, which it was adopted as, is not open any more"
            words += "; open it there again, or adopt another one"
            outcome.findings.append(_ambiguous(words, ErrorClass.REFERENCE_MISSING))
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
        started = clock.now()
        await connector.relabel(kind, ref, key, ctx)
        done = Done("adopt", kind, key, ref, "done", None, {"key": key}, started, clock.now())
        outcome.operations.append(done)


async def _is_open(connector: ListsProjects, ref: ErpRef, ctx: CallContext) -> bool:
    """Under no key of ours it can only be found in the list of all; few contracts ever ask."""
    cursor, more = None, True
    while more:
        page = await connector.projects(cursor, ctx)
        if any(found.ref == ref for found in page.projects):
            return True
        cursor, more = page.cursor, page.more
    return False


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
    """Of an ERP with batches: the keys go out in one of its own, and the rest follows once it has answered."""
    return Plan(contract, tuple(Operation(Action.ADOPT, kind, key, ref, after={"key": key}) for kind, key, ref in left))


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
