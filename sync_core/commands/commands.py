"""All commands behind one object, as `Reads` is for reading. One line a family; each family is one file."""

import sqlalchemy as sa

from sync_core.clock import Clock
from sync_core.commands.desk import Desk
from sync_core.estate import Estate


class Commands:
    """Safe for many threads. `engine` connects as the application's role, to the primary."""

    def __init__(self, engine: sa.Engine, *, clock: Clock, estate: Estate) -> None:
        desk = Desk(engine, clock, estate)
        self.desk = desk
