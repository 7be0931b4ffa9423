"""What the command line says when it cannot go on: one sentence and one exit code for each kind of trouble."""

import errno
from enum import IntEnum

import psycopg
import sqlalchemy as sa

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

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Exit(IntEnum):
    """Documented in `tieline --help`; scripts rely on them, so a number is never given another meaning."""

    OK = 0
    FAULT = 1  # a fault of ours
    USAGE = 2  # the command line itself, or a value that it or a file of it gives
    SETTINGS = 10
    HOME = 11
    DISK_FULL = 12
    PORT_TAKEN = 13
    DATABASE_DOWN = 14
    DATABASE_REFUSED = 15
    ALREADY_RUNNING = 16
    PART_DIES = 17
    NOT_OURS = 18  # asks of an external database what only the embedded one has
    AUDIT_BROKEN = 19
    EVIDENCE_BROKEN = 20
    REFUSED = 21
    NO_LINKS = 22
    NOT_VERIFIED = 23
    DIFFERS = 24
    NOT_KNOWN = 25
    BEGIN_AGAIN = 26


MEANINGS: dict[Exit, str] = {
    Exit.FAULT: "a fault of Tieline's own",
    Exit.USAGE: "unknown command or option, or a value that cannot be used",
    Exit.SETTINGS: "a setting or the estate file is wrong",
    Exit.HOME: "the home directory cannot be used",
    Exit.DISK_FULL: "the disk is full",
    Exit.PORT_TAKEN: "the port is taken",
    Exit.DATABASE_DOWN: "the database cannot be reached",
    Exit.DATABASE_REFUSED: "the database refuses us or lacks our tables",
    Exit.ALREADY_RUNNING: "another `tieline up` uses this home",
    Exit.PART_DIES: "a part of Tieline keeps ending",
    Exit.NOT_OURS: "the database is not the embedded one",
    Exit.AUDIT_BROKEN: "the audit was tampered with",
    Exit.EVIDENCE_BROKEN: "evidence or a snapshot is not as it was made",
    Exit.REFUSED: "what was asked cannot be done as things are",
    Exit.NO_LINKS: "people sign in at an identity provider, not by links",
    Exit.NOT_VERIFIED: "a replay waits for an approval, or ended with contracts that are not verified",
    Exit.DIFFERS: "what was compared differs, or the contract that was asked about would not be provisioned",
    Exit.NOT_KNOWN: "that could not be found out, or not all of it",
    Exit.BEGIN_AGAIN: "another policy came into force: start it again, as `tieline up` does by itself",
}


class Refusal(TielineError):
    """The command line ends with this sentence and this exit code."""

    code = "cli.refusal"

    def __init__(self, message: str, exit_code: Exit) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def __reduce__(self) -> tuple[type, tuple[str, Exit]]:
        return type(self), (self.message, self.exit_code)


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
    if wrong.errno in (*_FULL, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
        return unusable(where, wrong)
    return None


def unusable(where: object, wrong: OSError) -> Refusal:
    """What is wrong with the home or something in it."""
    if wrong.errno in _FULL:
        return Refusal(f"The disk that holds {where} is full: free some space and start again.", Exit.DISK_FULL)
    words = f"{where} cannot be used ({wrong.strerror}): correct its owner or mode, or set TIELINE_HOME elsewhere."
    return Refusal(words, Exit.HOME)
