"""All commands behind one object, as `Reads` is for reading. One line a family; each family is one file."""

import sqlalchemy as sa

from sync_core.clock import Clock
from sync_core.commands.access import Access
from sync_core.commands.approvals import Approvals
from sync_core.commands.audit_export import AuditExport
from sync_core.commands.cases import Cases
from sync_core.commands.corrections import Corrections
from sync_core.commands.desk import Desk
from sync_core.commands.exports import Exports
from sync_core.commands.finance import Finance
from sync_core.commands.holds import Holds
from sync_core.commands.quarantine import Quarantine
from sync_core.commands.replays import Replays
from sync_core.commands.schedules import Schedules
from sync_core.commands.snapshots import Snapshots
from sync_core.commands.subscribers import Subscribers
from sync_core.estate import Estate


class Commands:
    """Safe for many threads. `engine` connects as the application's role, to the primary."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, estate: Estate) -> None:
        desk = Desk(engine, clock, estate)
        self.desk = desk
        self.access = Access(desk)
        self.cases = Cases(desk)
        self.corrections = Corrections(desk)
        self.approvals = Approvals(desk)
        self.quarantine = Quarantine(desk)
        self.exports = Exports(desk)
        self.audit = AuditExport(desk)
        self.holds = Holds(desk)
        self.finance = Finance(desk)
        self.replays = Replays(desk)
        self.snapshots = Snapshots(desk)
        self.subscribers = Subscribers(desk)
        self.schedules = Schedules(desk)
