"""Refused sign-ins and tokens, counted by minute: what limits guessing, and what the audit sums up.

Each refusal is counted for the address it came from and, at the token endpoint, for the client it named there. A
client's name is no secret, so refusals elsewhere never keep the right secret out; they only leave fewer guesses to each
address. Rows are upserted, so a flood makes one row a minute for each address; a job turns finished minutes into one
audit row a kind.
"""

import ipaddress
import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from starlette.requests import HTTPConnection

from sync_core.audit import audit
from sync_core.authority import SYSTEM
from sync_core.clock import Clock

WINDOW: Final = timedelta(minutes=5)
_SETTLED_AFTER: Final = timedelta(minutes=2)  # clocks of several hosts differ a little
_KEPT_FOR: Final = timedelta(days=1)
_GUESSED_AT: Final = 100  # refusals of one client from everywhere in a window: then each address has one guess

_COUNT = sa.text("""
    INSERT INTO core.refusal AS r (minute, kind, who, count) VALUES (:minute, :kind, :who, 1)
    ON CONFLICT (kind, who, minute) DO UPDATE SET count = r.count + 1
""")
_RECENT = sa.text("""
    SELECT coalesce(sum(count), 0) AS total, min(minute) AS since FROM core.refusal
    WHERE kind = :kind AND who = :who AND minute >= :after
""")
# The update takes the rows, so of two jobs at once each minute is one's.
_TAKE_FINISHED = sa.text("""
    WITH finished AS (
        UPDATE core.refusal SET audited_at = :now WHERE audited_at IS NULL AND minute < :before
        RETURNING minute, kind, who, count
    )
    SELECT minute, kind, coalesce(sum(count) FILTER (WHERE starts_with(who, 'address ')), 0) AS total,
        (array_agg(who || ': ' || count ORDER BY count DESC, who))[1:20] AS most
    FROM finished GROUP BY minute, kind ORDER BY minute, kind
""")
_FORGET = sa.text("DELETE FROM core.refusal WHERE minute < :before AND audited_at IS NOT NULL")


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom a refusal is counted for, and how many of a kind are let through in five minutes. None: counted only."""

    kind: str  # sign_in, token, bearer
    who: str  # "address 192.0.2.7", "client erp-bridge" or "client erp-bridge from 192.0.2.7"
    most: int | None


class Refused(Exception):
    """Over the limit; the message may be shown."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"too many refused attempts; wait {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Refusals:
    """Safe for many threads; each call is one short transaction. `trusted_proxies`: how many stand before us."""

    def __init__(self, engine: sa.Engine, clock: Clock, *, trusted_proxies: int = 0) -> None:
        self._engine, self._clock, self._trusted_proxies = engine, clock, trusted_proxies

    def address(self, kind: str, request: HTTPConnection) -> Subject:
        """30 in five minutes for each address; an IPv6 network of one site counts as one."""
        return Subject(kind, f"address {self._address_of(request)}", 30)

    def client(self, kind: str, client_id: str, request: HTTPConnection) -> tuple[Subject, Subject]:
        """The client from this address, 10 in five minutes, or 1 while it is guessed at; and from everywhere.

        Give only clients that exist, or made-up names fill the table.
        """
        everywhere = Subject(kind, f"client {client_id}", None)
        with self._engine.connect() as conn:
            guessed_at = self._recent(conn, everywhere).total >= _GUESSED_AT
        here = f"client {client_id} from {self._address_of(request)}"
        return Subject(kind, here, 1 if guessed_at else 10), everywhere

    def check(self, *subjects: Subject) -> None:
        """Raises Refused once a subject has had all its attempts."""
        with self._engine.connect() as conn:
            for subject in subjects:
                row = self._recent(conn, subject)
                if subject.most is not None and row.total >= subject.most:
                    free_at = row.since + WINDOW + timedelta(minutes=1)
                    raise Refused(max(1, math.ceil((free_at - self._clock.now()).total_seconds())))

    def count(self, *subjects: Subject) -> None:
        """One refusal more for each."""
        minute = _minute(self._clock.now())
        # In one order: two requests with the same subjects must not wait for each other in a circle.
        ordered = sorted(subjects, key=lambda subject: (subject.kind, subject.who))
        with self._engine.begin() as conn:
            conn.execute(_COUNT, [{"minute": minute, "kind": one.kind, "who": one.who} for one in ordered])

    def _recent(self, conn: sa.Connection, subject: Subject) -> sa.Row[tuple[int, datetime]]:
        after = _minute(self._clock.now()) - WINDOW
        return conn.execute(_RECENT, {"kind": subject.kind, "who": subject.who, "after": after}).one()

    def _address_of(self, request: HTTPConnection) -> str:
        return address_of(request, trusted_proxies=self._trusted_proxies)


def sum_up(conn: sa.Connection, *, now: datetime) -> int:
    """One audit row for each finished minute and kind; the number of them. The caller commits."""
    finished = conn.execute(_TAKE_FINISHED, {"now": now, "before": _minute(now) - _SETTLED_AFTER}).all()
    conn.execute(_FORGET, {"before": now - _KEPT_FOR})
    audit.append(conn, SYSTEM, [_entry(row) for row in finished], now=now)
    return len(finished)


def _entry(row: sa.Row[tuple[object, ...]]) -> audit.Entry:
    detail = {"minute": row.minute, "refused": int(row.total), "most": list(row.most)}
    return audit.Entry(f"{row.kind}.refused", f"{row.kind} {row.minute:%Y-%m-%d %H:%M}", detail=detail)


def address_of(request: HTTPConnection, *, trusted_proxies: int) -> str:
    """Of the socket; behind trusted proxies what the outermost of them saw. A header of a client itself is ignored."""
    peer = request.client.host if request.client else ""
    if trusted_proxies:
        passed = [one.strip() for header in request.headers.getlist("x-forwarded-for") for one in header.split(",")]
        if len(passed) >= trusted_proxies:
            peer = passed[-trusted_proxies]
    return _site(peer)


def _site(address: str) -> str:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:  # as sockets for both kinds write IPv4
        return str(found.ipv4_mapped)
    # A site has a /64 of its own, so single IPv6 addresses limit nobody.
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
