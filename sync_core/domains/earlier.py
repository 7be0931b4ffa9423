"""What earlier states of a contract wanted an ERP to hold: values that this engine may have sent itself. Pure."""

from collections.abc import Callable, Sequence
from datetime import date

from sync_core.checks import contract_findings
from sync_core.contract import Stage
from sync_core.derive import derive
from sync_core.desired import ErpObject, Kind, Scalar, fields_of
from sync_core.estate.estate import Estate
from sync_core.events import Event
from sync_core.fold import fold
from sync_core.keys import BusinessKey

_MOST = 50  # states back; who was lost so long ago is settled


def earlier_values(
    events: Sequence[Event], estate: Estate, on: date, keeps: Callable[[ErpObject], ErpObject] | None = None
) -> frozenset[tuple[Kind, BusinessKey, str, Scalar]]:
    """By object and field, over all states since; `events` as they came, `keeps` as the ERP's capabilities say.

    Asked only of a contract whose last run was cut off or whose last batch is not journalled: if it was sent a value
    and a newer event came before it was read back, the ERP holds what neither was agreed nor is wanted, and yet nobody
    changed it there.
    """
    values: set[tuple[Kind, BusinessKey, str, Scalar]] = set()
    for until in range(max(1, len(events) - _MOST), len(events) + 1):
        contract = fold(events[:until])
        if contract.stage is not Stage.SIGNED or contract_findings(contract, estate):
            continue
        for wanted in derive(contract, estate, on=on).objects:
            held = keeps(wanted) if keeps else wanted
            values.update((wanted.kind, wanted.key, name, value) for name, value in fields_of(held).items())
    return frozenset(values)
