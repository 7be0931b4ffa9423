"""A contract whose project the ERP held before Tieline came: our key is written on it, once the ERP may be written to.

From then on any run finds it by its key, and what differs is repaired by the usual plan. Writing a key is safe to
repeat, so a run that dies in between leaves nothing to clean up.
"""

from sync_core.adoption import Adopted, Result
from sync_core.clock import Clock
from sync_core.engine.outcome import Done, Outcome
from sync_core.errors import ErrorClass, Function
from sync_core.estate import Erp, ErpMode
from sync_core.findings import Finding
from sync_core.keys import ErpRef
from sync_core.observing import Observed
from sync_core.ports import CallContext, ErpConnector, ListsProjects


def not_yet(adoption: Adopted | None, erp: Erp | None) -> Observed | None:
    """What is said of an adopted project while its ERP is only observed; None: go on."""
    if adoption is None or adoption.result is not Result.MATCHED or erp is None or erp.mode is not ErpMode.OBSERVE:
        return None
    return Observed(erp.name, f"{erp.name} is only observed; it is adopted as {adoption.words}", (), ())


def refusal(adoption: Adopted | None, lane: str) -> Finding | None:
    """The exception of a contract that was looked for and not found for certain, where it is not created."""
    return adoption.finding if adoption is not None and adoption.lane == lane else None


async def take(
    adoption: Adopted | None, connector: ErpConnector, clock: Clock, outcome: Outcome, ctx: CallContext
) -> None:
    """Write our keys on what was adopted. Raises what the connector raises."""
    if adoption is None or adoption.result is not Result.MATCHED or adoption.lane != connector.name:
        return
    if not isinstance(connector, ListsProjects):
        words = f"{connector.name} cannot be told our keys any more; write them there by hand"
        outcome.findings.append(Finding(ErrorClass.INTERNAL, "adoption_ambiguous", Function.FINANCE_OPERATIONS, words))
        return
    for (kind, key), ref in adoption.refs.items():
        started = clock.now()
        await connector.relabel(kind, ErpRef(ref), key, ctx)
        done = Done("adopt", kind, key, ref, "done", None, {"key": key}, started, clock.now())
        outcome.operations.append(done)
    outcome.taken = True
