"""All commands behind one object, as `Reads` is for reading. One line a family; each family is one file."""

import sqlalchemy as sa

from sync_core.clock import Clock
from sync_core.commands.access import Access
from sync_core.commands.adoptions import Adoptions
from sync_core.commands.amendments import Amendments
from sync_core.commands.approvals import Approvals
from sync_core.commands.audit_export import AuditExport
from sync_core.commands.cases import Cases
from sync_core.commands.conflicts import Conflicts
from sync_core.commands.corrections import Corrections
from sync_core.commands.customers import Customers
from sync_core.commands.desk import Desk
from sync_core.commands.drift import DriftWatch
from sync_core.commands.exports import Exports
from sync_core.commands.finance import Finance
from sync_core.commands.holds import Holds
from sync_core.commands.moves import Moves
from sync_core.commands.policies import Policies
from sync_core.commands.quarantine import Quarantine
from sync_core.commands.replays import Replays
from sync_core.commands.schedules import Schedules
from sync_core.commands.schemas import Schemas
from sync_core.commands.snapshots import Snapshots
from sync_core.commands.subscribers import Subscribers
from sync_core.estate.estate import Estate


class Commands:
    """Safe for many threads. `engine` connects as the application's role, to the primary."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, estate: Estate) -> None:
        desk = Desk(engine, clock, estate)
        self.desk = desk
        self.access = Access(desk)
        self.cases = Cases(desk)
        self.corrections = Corrections(desk)
        self.amendments = Amendments(desk)
        self.conflicts = Conflicts(desk)
        self.customers = Customers(desk)
        self.approvals = Approvals(desk)
        self.quarantine = Quarantine(desk)
        self.exports = Exports(desk)
        self.audit = AuditExport(desk)
        self.holds = Holds(desk)
        self.finance = Finance(desk)
        self.replays = Replays(desk)
        self.moves = Moves(desk)
        self.adoptions = Adoptions(desk)
        self.snapshots = Snapshots(desk)
        self.subscribers = Subscribers(desk)
        self.schedules = Schedules(desk)
        self.drift = DriftWatch(desk)
        self.schemas = Schemas(desk)
        self.policies = Policies(desk)
