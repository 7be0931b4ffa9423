"""How far one person may replay."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class ReplayPolicy:
    """How a replay may be carried out, and from where a second person must approve it."""

    second_person_from_money: Decimal = Decimal(1_000_000)  # reporting currency, over all items that write
    second_person_from_count: int = 500  # items
    per_minute: int = 120  # items dispatched, over all workers, unless the one who confirms says otherwise
    ticket_required: bool = True  # whoever confirms names the change's number elsewhere
