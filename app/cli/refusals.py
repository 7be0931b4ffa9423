"""What the command line says when it cannot go on: one sentence and one exit code for each kind of trouble.

Every command has this file at hand, so it imports nothing heavy; `app/cli/explaining.py` reads other parts' errors.
"""

import errno
from enum import IntEnum

from sync_core.errors import TielineError

FULL = (errno.ENOSPC, errno.EDQUOT)


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


def unusable(where: object, wrong: OSError) -> Refusal:
    """What is wrong with the home or something in it."""
    if wrong.errno in FULL:
        return Refusal(f"The disk that holds {where} is full: free some space and start again.", Exit.DISK_FULL)
    words = f"{where} cannot be used ({wrong.strerror}): correct its owner or mode, or set TIELINE_HOME elsewhere."
    return Refusal(words, Exit.HOME)
