"""One read-only snapshot for everything that a page shows together, so that its numbers agree with each other.

Values are skewed (most contracts are active), so each statement is planned for the values it has; compiling (JIT)
costs more than such statements run. Works on a read replica as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

STATEMENT_TIMEOUT_S: Final = 20

# Sent as one: a page opens several snapshots, and each message to the server is a wait.
_BEGIN: Final = f"""
    SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY;
    SET LOCAL plan_cache_mode = force_custom_plan; SET LOCAL jit = off;
    SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT_S}s'
"""


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a read-only REPEATABLE READ transaction; it ends with the block."""
    with engine.connect() as conn, conn.begin():
        conn.exec_driver_sql(_BEGIN)
        yield conn
