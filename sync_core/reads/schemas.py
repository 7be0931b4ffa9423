"""The versions of events as people see them: state, use, what waits for one, registrations, fields that are new."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import orjson
import sqlalchemy as sa

from sync_core.errors import Function
from sync_core.estate.estate import Estate
from sync_core.reads.paging import Listed, Listing, Order, Row, Where, Window
from sync_core.schemas.versions import State

IMPORTED: Final = "import:"  # how events of an import came, before the source's name
USED_WITHIN: Final = timedelta(days=30)

# The bound table is small: one row per day, client and version, counted by sync_core/schemas/watch.py.
_USAGE: Final = sa.text("""
    SELECT type, source, received_by, sum(events) FILTER (WHERE used_on > CAST(:since AS date)) AS lately,
           sum(events) AS events, max(last_at) AS last_at
    FROM core.schema_usage GROUP BY type, source, received_by ORDER BY type, source, received_by
""")
_WAITING: Final = sa.text("""
    SELECT type, count(*) AS events, count(*) FILTER (WHERE signature) AS signatures, min(recorded_at) AS oldest_at
    FROM core.quarantine WHERE released_at IS NULL AND dismissed_at IS NULL AND type <> ALL(:known)
    GROUP BY type ORDER BY count(*) DESC, type
""")
_REGISTRATION: Final = """registration_id, type, CAST(body AS text) AS body, reads_as, CAST(renames AS text) AS renames,
    reason, registered_at, registered_by, withdrawn_at, withdrawn_by, withdrawn_reason, version"""
_REGISTRATIONS: Final = sa.text(f"""
    SELECT {_REGISTRATION} FROM core.schema_registration
    WHERE CASE WHEN CAST(:id AS bigint) IS NULL THEN withdrawn_at IS NULL ELSE registration_id = :id END
    ORDER BY registration_id DESC
""")
# What is still open comes first, the newest of it first; the rest stands by number behind it.
_IN_FORCE: Final = """(SELECT *, CASE WHEN withdrawn_at IS NULL THEN registered_at END AS in_force_since
    FROM core.schema_registration) AS r"""
_UNSEEN: Final = """(SELECT *, CASE WHEN acknowledged_at IS NULL THEN first_seen_at END AS unseen_since
    FROM core.schema_drift) AS d"""
_DRIFT: Final = """drift_id, source, type, path, shape, events, first_seen_at, last_seen_at, acknowledged_at,
    acknowledged_by, acknowledged_as, version, unseen_since"""
_UNSEEN_FIELDS: Final = sa.text("SELECT count(*) FROM core.schema_drift WHERE acknowledged_at IS NULL")
# Along the index of sent types from its end: the newest ones, without a sort.
_STORED: Final = sa.text("""
    SELECT source, id, CAST(coalesce(sent, data) AS text) AS data FROM core.event
    WHERE coalesce(sent_type, type) = :type ORDER BY seq DESC LIMIT CAST(:most AS bigint)
""")
_CHECKS: Final = sa.text(
    "SELECT lane, api, CAST(needs AS text) AS needs, checked_at, problem, does_without"
    " FROM core.connector_check ORDER BY lane"
)


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends a version: a CLM, and by which way it came."""

    source: str
    received_by: str
    lately: int  # events of the last 30 days
    events: int
    last_at: datetime

    @property
    def own(self) -> bool:
        """Our own import of files: nobody else has to be asked to send another version."""
        return self.received_by.startswith(IMPORTED)


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """`registered`: while Tieline runs, not part of this release."""

    name: str
    state: State
    owner: Function
    since: str
    summary: str
    signature: bool
    reads_as: str | None
    deprecated_on: date | None
    sunset_on: date | None
    removed_on: date | None
    successor: str | None
    registered: bool
    clients: tuple[Client, ...]

    @property
    def lately(self) -> int:
        return sum(one.lately for one in self.clients)

    @property
    def events(self) -> int:
        return sum(one.events for one in self.clients)


@dataclass(frozen=True, slots=True)
class UnknownVersion:
    """What waits in quarantine for a schema."""

    type: str
    events: int
    signatures: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Registration:
    registration_id: int
    type: str
    body: str  # JSON Schema
    reads_as: str
    renames: tuple[tuple[str, str], ...]
    reason: str
    registered_at: datetime
    registered_by: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_reason: str | None
    version: int


@dataclass(frozen=True, slots=True)
class Drift:
    """A field that came in and that no schema here knows. Kept with its events."""

    drift_id: int
    source: str
    type: str
    path: str
    shape: str
    events: int
    first_seen_at: datetime
    last_seen_at: datetime
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    acknowledged_as: str | None
    version: int


@dataclass(frozen=True, slots=True)
class ConnectorCheck:
    """What a connector needs of its ERP, and what the last look found; `problem` None: all of it, but for what it does
    without.
    """

    lane: str
    api: str
    needs: Mapping[str, tuple[str, ...]]
    checked_at: datetime
    problem: str | None
    does_without: str | None = None


def schema_versions(conn: sa.Connection, estate: Estate, *, now: datetime) -> tuple[SchemaVersion, ...]:
    """By name, registered ones last."""
    used: dict[str, list[Client]] = {}
    for row in conn.execute(_USAGE, {"since": (now - USED_WITHIN).date()}):
        one = Client(row.source, row.received_by, int(row.lately or 0), int(row.events), row.last_at)
        used.setdefault(row.type, []).append(one)
    known = [_known(estate, name, now, tuple(used.get(name, ()))) for name in sorted(estate.versions)]
    others = [one for one in in_force(conn) if one.type not in estate.versions]
    return (*known, *(_registered(estate, one, tuple(used.get(one.type, ()))) for one in others))


def _known(estate: Estate, name: str, now: datetime, clients: tuple[Client, ...]) -> SchemaVersion:
    one = estate.versions[name]
    return SchemaVersion(
        name, one.state(now.date()), one.owner, one.since, one.type.summary, one.type.signature,
        one.type.reads_as or None, one.deprecated_on, one.sunset_on, one.removed_on, one.successor, registered=False,
        clients=clients,
    )  # fmt: skip


def _registered(estate: Estate, held: Registration, clients: tuple[Client, ...]) -> SchemaVersion:
    base = estate.versions[held.reads_as]
    summary = f"Registered by {held.registered_by}: {held.reason}"
    return SchemaVersion(
        held.type, State.ACTIVE, base.owner, f"{held.registered_at:%Y-%m-%d}", summary, base.type.signature,
        held.reads_as, None, None, None, None, registered=True, clients=clients,
    )  # fmt: skip


def unknown_versions(conn: sa.Connection, estate: Estate) -> tuple[UnknownVersion, ...]:
    """Most events first; what was no event at all has no type and is left out, and so are versions that are registered:
    of these an event waits because of what it holds.
    """
    registered = [one.type for one in in_force(conn)]
    rows = conn.execute(_WAITING, {"known": [*estate.versions, *registered, ""]})
    return tuple(UnknownVersion(*row) for row in rows)


def in_force(conn: sa.Connection) -> tuple[Registration, ...]:
    """All that were not withdrawn, newest first."""
    return tuple(_registration(row) for row in conn.execute(_REGISTRATIONS, {"id": None}))


def registration(conn: sa.Connection, registration_id: int) -> Registration | None:
    """Withdrawn or not; None: there is none of this number."""
    row = conn.execute(_REGISTRATIONS, {"id": registration_id}).one_or_none()
    return None if row is None else _registration(row)


def registrations(conn: sa.Connection, window: Window) -> Listed[Registration]:
    """Those in force first, then the newest."""
    order = Order("r.in_force_since", descending=True, nullable=True, kind=datetime, row_id="r.registration_id")
    columns = f"{_REGISTRATION}, in_force_since"
    return Listing(columns, _IN_FORCE, Where((), {}), order, _registration).page(conn, window)


def _registration(row: Row) -> Registration:
    renames = tuple((theirs, ours) for theirs, ours in orjson.loads(row.renames))
    return Registration(
        row.registration_id, row.type, row.body, row.reads_as, renames, row.reason, row.registered_at,
        row.registered_by, row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason, row.version,
    )  # fmt: skip


def drift(conn: sa.Connection, window: Window) -> Listed[Drift]:
    """What nobody has looked at first, then the newest."""
    order = Order("d.unseen_since", descending=True, nullable=True, kind=datetime, row_id="d.drift_id")
    return Listing(_DRIFT, _UNSEEN, Where((), {}), order, _drift).page(conn, window)


def _drift(row: Row) -> Drift:
    return Drift(
        row.drift_id, row.source, row.type, row.path, row.shape, row.events, row.first_seen_at, row.last_seen_at,
        row.acknowledged_at, row.acknowledged_by, row.acknowledged_as, row.version,
    )  # fmt: skip


def unseen(conn: sa.Connection) -> int:
    """Fields that nobody has acknowledged."""
    return int(conn.execute(_UNSEEN_FIELDS).scalar_one())


def stored(conn: sa.Connection, name: str, *, most: int | None) -> Iterator[tuple[str, object]]:
    """(id, data as it was sent) of the newest events of one type, in a stream; None: all of them."""
    # A cursor of the server's: however many there are, 500 are here at once.
    rows = conn.execute(_STORED, {"type": name, "most": most}, execution_options={"yield_per": 500})
    for row in rows:
        yield row.id, orjson.loads(row.data)


def connector_checks(conn: sa.Connection) -> tuple[ConnectorCheck, ...]:
    """By lane."""
    return tuple(
        ConnectorCheck(
            row.lane, row.api, {kind: tuple(names) for kind, names in orjson.loads(row.needs).items()},
            row.checked_at, row.problem, row.does_without,
        )
        for row in conn.execute(_CHECKS)
    )  # fmt: skip
