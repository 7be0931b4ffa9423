"""One read-only snapshot for everything that a page shows together, so that its numbers agree with each other.

Values are skewed (most contracts are active), so each statement is planned for the values it has; compiling (JIT)
costs more than such statements run. Works on a read replica as well.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

STATEMENT_TIMEOUT_S: Final = 20

_PREPARE = sa.text("""
    SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true),
           set_config('statement_timeout', :timeout, true)
""")


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection in a read-only REPEATABLE READ transaction; it ends with the block."""
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with engine.connect().execution_options(**options) as conn, conn.begin():
        conn.execute(_PREPARE, {"timeout": f"{STATEMENT_TIMEOUT_S}s"})
        yield conn
