"""The schemas' part of `Reads`. What is counted here names no contract, so its readers see it of all legal entities."""

from collections.abc import Callable

import sqlalchemy as sa
from jsonschema import Draft202012Validator

from sync_core.authority import Forbidden, Permission
from sync_core.clock import Clock
from sync_core.estate.estate import Estate
from sync_core.reads import schemas
from sync_core.reads.paging import Listed, Window
from sync_core.reads.scope import Entities
from sync_core.reads.snapshot import snapshot
from sync_core.schemas.fit import Fit, fit


class SchemaReads:
    """Mixed into `Reads`."""

    _engine: sa.Engine
    _clock: Clock
    estate: Estate
    reach: Callable[[Permission], Entities]

    def schema_versions(self) -> tuple[schemas.SchemaVersion, ...]:
        """All that are taken or were, with who sends them. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.schema_versions(conn, self.estate, now=self._clock.now())

    def unknown_versions(self) -> tuple[schemas.UnknownVersion, ...]:
        """Types that wait in quarantine because nobody knows them. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.unknown_versions(conn, self.estate)

    def schema_registrations(self, window: Window | None = None) -> Listed[schemas.Registration]:
        """Those in force first, then the newest. Raises Forbidden and InvalidCursor."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.registrations(conn, window or Window())

    def schema_registration(self, registration_id: int) -> schemas.Registration | None:
        """None: there is none of this number. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.registration(conn, registration_id)

    def schema_drift(self, window: Window | None = None) -> Listed[schemas.Drift]:
        """What nobody has looked at first, then the newest. Raises Forbidden and InvalidCursor."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.drift(conn, window or Window())

    def schema_unseen(self) -> int:
        """How many new fields nobody has acknowledged. Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.unseen(conn)

    def connector_checks(self) -> tuple[schemas.ConnectorCheck, ...]:
        """Raises Forbidden."""
        self.reach(Permission.KPI_READ)
        with snapshot(self._engine) as conn:
            return schemas.connector_checks(conn)

    def fits(self, name: str, validator: Draft202012Validator, *, most: int | None) -> Fit:
        """Of the newest stored events of a type, as they were sent, of all legal entities. Raises Forbidden.

        Whoever writes the schema can ask for one value after another, so it takes who may register one.
        """
        if self.reach(Permission.SCHEMAS_WRITE) is not None:
            raise Forbidden(Permission.SCHEMAS_WRITE, "a schema is held against the events of all legal entities; "
                            "an administrator with reach over all of them may")  # fmt: skip
        with snapshot(self._engine) as conn:
            return fit(validator, schemas.stored(conn, name, most=most))
