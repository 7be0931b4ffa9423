"""The sentence and the exit code for what other parts of Tieline, the database or the system raise."""

import errno

import psycopg
import sqlalchemy as sa

from app.cli.refusals import FULL, Exit, Refusal, unusable
from app.postgres.errors import (
    CredentialsRefused,
    DiskFull,
    EmbeddedPostgresError,
    PermissionRefused,
    PortTaken,
)
from app.settings import InvalidSettings
from app.telemetry.logs import without_secrets
from metrics.asking import InvalidAsk
from sync_core.authority import Forbidden
from sync_core.commands.desk import CommandRefused, InvalidInput
from sync_core.errors import InvalidEstate, TielineError


def explain(wrong: BaseException) -> Refusal | None:
    """The sentence for an error that an operator can mend; None for a fault of ours."""
    if isinstance(wrong, Refusal):
        return wrong
    if isinstance(wrong, sa.exc.DBAPIError) and isinstance(wrong.orig, Exception):
        return explain(wrong.orig)
    if isinstance(wrong, psycopg.Error):
        return _of_database(wrong)
    if isinstance(wrong, EmbeddedPostgresError):
        return Refusal(str(wrong), _of_embedded(wrong))
    if isinstance(wrong, TielineError):
        return _of_ours(wrong)
    if isinstance(wrong, OSError):
        return _of_system(wrong)
    return None


def _of_ours(wrong: TielineError) -> Refusal | None:
    if isinstance(wrong, InvalidSettings | InvalidEstate):
        return Refusal(wrong.message, Exit.SETTINGS)
    if isinstance(wrong, InvalidInput | InvalidAsk):
        return Refusal(wrong.message, Exit.USAGE)
    if isinstance(wrong, CommandRefused | Forbidden):
        return Refusal(wrong.message, Exit.REFUSED)
    return None


def _of_embedded(wrong: EmbeddedPostgresError) -> Exit:
    if isinstance(wrong, DiskFull):
        return Exit.DISK_FULL
    if isinstance(wrong, PermissionRefused):
        return Exit.HOME
    if isinstance(wrong, PortTaken):
        return Exit.PORT_TAKEN
    return Exit.DATABASE_REFUSED if isinstance(wrong, CredentialsRefused) else Exit.DATABASE_DOWN


def _of_database(wrong: psycopg.Error) -> Refusal:
    said = wrong.diag.message_primary or str(wrong)
    words = " ".join(without_secrets(said).split()).removeprefix("connection failed: ")
    if isinstance(wrong, psycopg.errors.DiskFull) or "No space left on device" in words:
        return Refusal(f"The database's disk is full, free some space and start again: {words}", Exit.DISK_FULL)
    if isinstance(wrong, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return Refusal(
            f"The database lacks tables of this release, run `tieline migrate`: {words}", Exit.DATABASE_REFUSED
        )
    refused = ("password authentication failed", "does not exist", "no pg_hba.conf entry", "permission denied")
    if isinstance(wrong, psycopg.ProgrammingError) or any(mark in words for mark in refused):
        return Refusal(f"The database refuses us, correct DATABASE_URL or its rights: {words}", Exit.DATABASE_REFUSED)
    return Refusal(f"The database cannot be reached, start it or correct DATABASE_URL: {words}", Exit.DATABASE_DOWN)


def _of_system(wrong: OSError) -> Refusal | None:
    where = wrong.filename or "a file"
    if wrong.errno in (*FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return unusable(where, wrong)
    return None
