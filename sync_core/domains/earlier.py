"""What earlier states of a contract wanted an ERP to hold: values that this engine may have sent itself. Pure."""

from collections.abc import Callable, Sequence

from sync_core.contract import Contract
from sync_core.desired import Desired, ErpObject, Kind, Scalar, fields_of
from sync_core.events import Event
from sync_core.fold import fold
from sync_core.keys import BusinessKey
from sync_core.life.agreements import DayAt

_MOST = 50  # states back; who was lost so long ago is settled


def earlier_values(
    events: Sequence[Event],
    wanted_of: Callable[[Contract], Desired | None],
    day_at: DayAt,
    keeps: Callable[[ErpObject], ErpObject] | None = None,
) -> frozenset[tuple[Kind, BusinessKey, str, Scalar]]:
    """By object and field, over all states since; `events` as they came, `keeps` as the ERP's capabilities say.
    `wanted_of` is how a run works out what it sends: after a move that is what is left of the contract.

    Asked only of a contract whose last run was cut off or whose last batch is not journalled: if it was sent a value
    and a newer event came before it was read back, the ERP holds what neither was agreed nor is wanted, and yet nobody
    changed it there.
    """
    values: set[tuple[Kind, BusinessKey, str, Scalar]] = set()
    for until in range(max(1, len(events) - _MOST), len(events) + 1):
        then = wanted_of(fold(events[:until], day_at=day_at))
        for wanted in then.objects if then is not None else ():
            held = keeps(wanted) if keeps else wanted
            values.update((wanted.kind, wanted.key, name, value) for name, value in fields_of(held).items())
    return frozenset(values)
