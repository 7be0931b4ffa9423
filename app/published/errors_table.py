"""The table of errors in docs/api.md, made from the code; `make docs` writes it, a test compares it."""

import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final

from app.api.refused import STATUS, Code
from app.web.problems import status_of
from metrics.asking import InvalidAsk
from sync_core.authority import Forbidden
from sync_core.commands.desk import Changed, CommandRefused, InvalidInput, KeyInUse, KeyReused, NotFound
from sync_core.errors import StoredEventUnreadable, TielineError
from sync_core.reads.paging import InvalidCursor

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "api.md"
BEGIN, END = "<!-- errors: made by `make docs` -->", "<!-- end of errors -->"

_OURS: Final = (
    Changed, CommandRefused, Forbidden, InvalidAsk, InvalidCursor, InvalidInput, KeyInUse, KeyReused, NotFound,
    StoredEventUnreadable,
)  # fmt: skip
_MEANING: Final = {
    Code.IF_MATCH_MISSING: "If-Match is missing; send the ETag that you read.",
    Code.KEY_MISSING: "This needs an Idempotency-Key.",
    Code.KEY_MALFORMED: "The Idempotency-Key is no text in quotes.",
    Code.UNKNOWN_PARAMETER: "The route has no such parameter; the detail lists those that it has.",
    Code.TOO_LARGE: "The body is over a mebibyte.",
    Code.MEDIA_TYPE: "The Content-Type is none that the route takes; the detail names those.",
    Code.NO_SUCH_ROUTE: "There is no such address.",
    Code.METHOD: "The address has another method; Allow names it.",
}
# Of the layers around the API: tokens (app/identity/bearer.py), requests and the database (app/web/problems.py).
_AROUND: Final = (
    ("token.missing", HTTPStatus.UNAUTHORIZED, "No access token was sent."),
    ("token.invalid", HTTPStatus.UNAUTHORIZED, "The access token is unknown, expired or taken back; get a new one."),
    ("token.insufficient_scope", HTTPStatus.FORBIDDEN, "The token lacks the scope that WWW-Authenticate names."),
    ("token.too_many_refused", HTTPStatus.TOO_MANY_REQUESTS, "Too many bad tokens from this address; wait."),
    (
        "request.invalid",
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "A parameter or the body cannot be used; the detail names it.",
    ),
    ("request.incomplete", HTTPStatus.BAD_REQUEST, "The connection ended before the body did; send it again."),
    ("http.bad_request", HTTPStatus.BAD_REQUEST, "The body cannot be read as text."),
    ("database.unavailable", HTTPStatus.SERVICE_UNAVAILABLE, "Nothing was done; send it again after Retry-After."),
    ("tieline.error", HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of Tieline; report the correlation id."),
)


@dataclass(frozen=True, slots=True)
class Row:
    code: str
    status: HTTPStatus
    meaning: str


def rows() -> list[Row]:
    """By status, then by code."""
    found = [Row(kind.code, status_of(kind.__new__(kind)), _said(kind)) for kind in _OURS]
    found += [Row(code.value, STATUS[code], _MEANING[code]) for code in Code]
    found += [Row(*row) for row in _AROUND]
    return sorted(found, key=lambda row: (row.status, row.code))


def _said(kind: type[TielineError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n")[0]


def table() -> str:
    """In Markdown."""
    lines = ["| Status | `code` | Meaning |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.status.value} | `{row.code}` | {row.meaning} |" for row in rows())])


def written(text: str) -> str:
    """The document with the table as the code has it."""
    head, _, rest = text.partition(BEGIN)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


def main(out: Path = DOCUMENT) -> None:
    """Write the table."""
    out.write_text(written(out.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
