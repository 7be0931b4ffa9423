"""The lease of a snapshot that is being made: renewed for as long as the work takes, so that nobody begins it again."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa

from metrics.snapshot.keeping import Asked

log = logging.getLogger(__name__)

_RENEWALS: Final = 3  # in the time of one lease

# Never one that was lost: its token is another's by then.
_RENEW = sa.text("""
    UPDATE metrics.snapshot SET lease_until = now() + make_interval(secs => :lease_s)
    WHERE snapshot_id = :snapshot_id AND lease_token = :token AND state = 'asked'
""")


@contextmanager
def renewed(engine: sa.Engine, one: Asked, *, lease_s: float) -> Iterator[None]:
    """`engine` needs a connection for it besides those of the work. A process that ends loses it."""
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(engine, one, lease_s, ended), name=f"lease of snapshot {one.snapshot_id}", daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _keep(engine: sa.Engine, one: Asked, lease_s: float, ended: threading.Event) -> None:
    bound = {"snapshot_id": one.snapshot_id, "token": one.token, "lease_s": lease_s}
    while not ended.wait(lease_s / _RENEWALS):
        try:
            with engine.begin() as conn:
                if conn.execute(_RENEW, bound).rowcount == 0:
                    return  # made or failed meanwhile, or another's
        except sa.exc.SQLAlchemyError as wrong:
            # Tried again in time for the lease; the work itself fails on a database that stays away.
            log.warning("the lease of snapshot %d could not be renewed: %s", one.snapshot_id, wrong)
