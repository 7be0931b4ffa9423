"""What each CLM and Tieline still owed each other when it was sampled last; see collectors/clms.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from metrics.sampled import newest


class ClmSample(StrEnum):
    """Names of samples; the system is the CLM's name."""

    FEED_AGE_S = "clm_feed_age_s"
    FOUND_BY_POLL = "clm_found_by_poll"
    NOT_UNDERSTOOD = "clm_not_understood"
    REPORTS_DUE = "clm_reports_due"
    REPORTS_OLDEST_S = "clm_reports_oldest_s"


@dataclass(frozen=True, slots=True)
class ClmBacklog:
    """Of one CLM."""

    feed_age_s: float | None  # since its feed was read to the end; None: it never was
    found_by_poll: int  # events of the last 24 hours that no webhook had brought
    not_understood: int  # events in quarantine
    reports_due: int  # contracts of which it is to be told something
    reports_oldest_s: float | None  # how long the first of them has been due; None: none is


def sampled_clms(conn: sa.Connection) -> dict[str, ClmBacklog]:
    """By name; empty until a worker has sampled."""
    found: dict[str, dict[str, float]] = {}
    for row in newest(conn, ClmSample):
        found.setdefault(row.system, {})[row.name] = row.value
    return {name: _made(values) for name, values in found.items()}


def _made(values: Mapping[str, float]) -> ClmBacklog:
    return ClmBacklog(
        values.get(ClmSample.FEED_AGE_S),
        int(values.get(ClmSample.FOUND_BY_POLL, 0)),
        int(values.get(ClmSample.NOT_UNDERSTOOD, 0)),
        int(values.get(ClmSample.REPORTS_DUE, 0)),
        values.get(ClmSample.REPORTS_OLDEST_S),
    )
