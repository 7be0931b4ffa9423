"""What finance settled in an ERP that a contract has left: read there again, while its books differ from the contract.

Only milestones that stay invoiced there are read anew, and those that the contract has no more. One that was credited
whole and is still agreed stays as it was: it may be billed anew there at any moment, and must not be made elsewhere.
"""

import logging
from collections.abc import Iterable, Mapping
from decimal import Decimal

from sync_core.contract import BillingKind, Terms
from sync_core.desired import Found, Kind
from sync_core.engine.look import Intent
from sync_core.engine.outcome import Outcome
from sync_core.errors import ErpError
from sync_core.findings import Finding
from sync_core.moving.moving import Behind, Placement, behind_of, changed_since
from sync_core.ports import CallContext, ErpConnector, Scope

log = logging.getLogger(__name__)


async def left_behind(
    scope: Scope, intent: Intent, connectors: Mapping[str, ErpConnector], outcome: Outcome, ctx: CallContext
) -> list[Finding]:
    """The differences that are left; what was read otherwise than it is stored is for `outcome` to keep."""
    terms, placement = intent.contract.terms, intent.placement
    earlier = intent.contract.earlier
    told = changed_since(scope.contract, terms, placement, earlier)
    if not told or terms is None or placement is None:
        return told
    fresh: dict[str, Behind] = {}
    for lane, known in placement.behind.items():
        if lane == placement.lane or lane not in connectors or known.billed is None or not known.milestones:
            continue
        try:
            found = (await connectors[lane].observe(scope, ctx)).found
        except ErpError as away:
            log.info("%s was left and could not be read again: %s", lane, away)  # the difference stands until it can
            continue
        if (now := _read(known, found, terms)) != known:
            fresh[lane] = now
    if not fresh:
        return told
    outcome.behind = fresh
    settled = Placement(placement.lane, None, {**placement.behind, **fresh})
    return changed_since(scope.contract, terms, settled, earlier)


def _read(known: Behind, found: Iterable[Found], terms: Terms) -> Behind:
    """`known` with the sums of now; its total goes along with them."""
    held = list(found)
    now, agreed = behind_of(held, BillingKind.MILESTONES).milestones, {milestone.key for milestone in terms.milestones}
    open_again = {f.key for f in held if f.kind is Kind.MILESTONE and not f.billed} - now.keys()
    gone = {key for key in open_again if key.partition("#M:")[2] not in agreed}
    paid = {key: Decimal(0) if key in gone else now.get(key, sum_) for key, sum_ in known.milestones.items()}
    change = sum(paid.values(), Decimal(0)) - sum(known.milestones.values(), Decimal(0))
    return Behind((known.billed or Decimal(0)) + change, paid)
