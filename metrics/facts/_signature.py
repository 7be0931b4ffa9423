"""When a contract `c` was signed: shared by the facts that begin there."""

from typing import Final

# The row has the latest signature. A contract that was signed anew after it was active keeps its first one.
SIGNED_AT: Final = """
    CASE WHEN c.signed_at > c.first_active_at THEN coalesce((
        SELECT min(metrics.moment_of(e.data ->> 'signed_at')) FROM core.event AS e
        WHERE e.source = c.source AND e.external_id = c.external_id AND e.type = 'com.tieline.contract.signed.v1'
    ), c.signed_at) ELSE c.signed_at END
"""
