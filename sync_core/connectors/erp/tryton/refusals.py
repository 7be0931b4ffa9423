"""What Tryton's refusals mean. Most come as HTTP 200 with an `error` list, and an error rolls the whole call back.

The list begins with the class for errors meant for people (UserError, UserWarning, ConcurrencyException,
LoginException); any other exception is [its text, traceback]. As plain HTML: 403 for a method that does not
exist, 404 while the database cannot be reached or is unknown, 401 without a session.
Source: trytond 8.2 protocols/jsonrpc.py and dispatcher.py, and tried on a running server.
"""

import re
from collections.abc import Sequence

import httpx

from sync_core.connectors.answers import Json, Response, Unexplained
from sync_core.errors import (
    ErpAmbiguous,
    ErpAnswerIncomplete,
    ErpCredentials,
    ErpError,
    ErpRejected,
    ErpUnavailable,
)

_MOST_WORDS = 500
# A missing right concerns every contract; other AccessErrors ("already invoiced") only this one.
_NO_RIGHT = re.compile(r'^You are not allowed to access "')
# The database gave up on the transaction, after Tryton's own five attempts.
_ROLLED_BACK = re.compile("could not serialize|deadlock detected|could not obtain lock|lock timeout", re.IGNORECASE)
# Lost at a moment that nobody knows, so perhaps while committing.
_LOST = re.compile(
    "server closed the connection|connection.*(lost|closed|refused|timeout)|terminating connection|"
    "consuming input failed|too many clients|connection slots|couldn't get a connection",
    re.IGNORECASE,
)


def judge(system: str, answer: Response, write: bool) -> ErpError | None:
    """The error that an answer really is; None for one that Tryton or ErpHttp speaks plainly about."""
    if answer.status == httpx.codes.FORBIDDEN:
        words = "has no such method; compare its version with 8.2, and activate its module project_invoice"
        return ErpAnswerIncomplete(system, words)
    if answer.status == httpx.codes.NOT_FOUND:
        return ErpUnavailable(
            system, "cannot open its database; check the database's name in the estate and its server"
        )
    if answer.status != httpx.codes.OK or not isinstance(answer.body, dict) or "error" not in answer.body:
        return None
    return _told(system, answer.body["error"], write)


def _told(system: str, error: Json, write: bool) -> ErpError:
    parts = error if isinstance(error, list) else [error]
    said = parts[1] if len(parts) > 1 else None
    match parts[:1]:
        case ["UserError"]:
            words = _words(said[:2] if isinstance(said, list) else [said])
            if _NO_RIGHT.match(words):
                return ErpCredentials(system, f"its user lacks a right: {words}; grant it in Tryton")
            return ErpRejected(system, words)
        case ["UserWarning"]:
            return ErpRejected(system, _words(said[1:3] if isinstance(said, list) else [said]))
        case ["ConcurrencyException"]:
            return ErpUnavailable(system, f"{_words([said])}; nothing was written, look again")
        case ["LoginException"]:
            return ErpCredentials(system, f"asks for more to log in: {_words([said])}; give its user a plain password")
    return _unforeseen(system, _words(parts[:1]), write)


def _unforeseen(system: str, words: str, write: bool) -> ErpError:
    if _ROLLED_BACK.search(words):
        return ErpUnavailable(system, words)
    if _LOST.search(words):
        return ErpAmbiguous(system, words) if write else ErpUnavailable(system, words)
    if write:
        # The transaction is rolled back; the cause may be this contract's own data.
        return Unexplained(system, f"failed on this record: {words}; see Tryton's log")
    return ErpAnswerIncomplete(system, f"failed on a read: {words}; compare its version and modules with 8.2")


def _words(parts: Sequence[Json]) -> str:
    return " ".join(" ".join(str(part) for part in parts if part).split())[:_MOST_WORDS]
