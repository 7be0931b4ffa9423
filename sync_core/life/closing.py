"""What is left to bill when a contract ends: milestones that fell due by its last day. Pure.

They stay as they would have stayed without the end, and so does their project, until the ERP has invoiced them; then
all of it closes. Whether one that is not invoiced was reached is not for a machine to say: it is finance's to invoice,
or the contract's to take away by an amendment. Everything else that is unbilled closes at once. A project that is not
there, because it was closed before or never made, is not made for it: what is left is then a task alone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from sync_core.desired import BillingMilestone, Desired, Found, Kind
from sync_core.errors import ErrorClass, Function
from sync_core.findings import Finding

EARNED: Final = "earned_not_billed"


def closed_if_billed(desired: Desired, found: Sequence[Found]) -> Desired:
    """Of a contract that has ended: nothing has to exist any more once all that was earned is invoiced, or once its
    project is gone.
    """
    if desired.ended_on is None or desired.project is None:
        return desired
    if not any(held.active and (held.kind, held.key) == (Kind.PROJECT, desired.project.key) for held in found):
        return replace(desired, objects=())
    billed = {held.key for held in found if held.kind is Kind.MILESTONE and held.billed}
    left = any(isinstance(o, BillingMilestone) and o.key not in billed for o in desired.objects)
    return desired if left else replace(desired, objects=())


def left_to_bill(desired: Desired, found: Iterable[Found]) -> Finding | None:
    """The task of finance while an ended contract has something to bill."""
    if desired.ended_on is None:
        return None
    billed = {held.key for held in found if held.kind is Kind.MILESTONE and held.billed}
    left = [o for o in desired.objects if isinstance(o, BillingMilestone) and o.key not in billed]
    if not left:
        return None
    named = ", ".join(f"{o.name} due {o.bill_on}" for o in sorted(left, key=lambda o: (o.bill_on, o.key)))
    words = f"the contract ended on {desired.ended_on}; not invoiced yet: {named}; invoice it, or have it amended away"
    money = sum((o.amount for o in left), Decimal(0))
    return Finding(ErrorClass.ERP_REJECTED, "earned_not_billed", Function.FINANCE_OPERATIONS, words, money=money)
