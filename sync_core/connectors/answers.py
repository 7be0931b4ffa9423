"""What an ERP's answer means: which status is which error, the ERP's own words, and fields that must be there."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TypeAlias

import httpx

from sync_core.clock import Clock
from sync_core.errors import (
    ErpAmbiguous,
    ErpAnswerIncomplete,
    ErpCredentials,
    ErpError,
    ErpRateLimited,
    ErpRejected,
    ErpUnavailable,
)
from sync_core.money import MOST_DIGITS

Json: TypeAlias = "bool | int | float | str | Decimal | list[Json] | dict[str, Json] | None"

exact_json: Callable[[bytes], Json] = partial(json.loads, parse_float=Decimal)
"""For ERPs that send amounts as JSON numbers; slower than orjson, which makes floats of them."""

_RETRY_AFTER_S = 5.0  # when a 429 does not say how long
_LONGEST_WAIT_S = 3600.0  # an ERP that says more has sent a moment, not a wait
_MOST_WORDS = 500
_UNWRITTEN = frozenset({408, 425})  # the server gave up before it had the request
_WORDS = ("detail", "message", "error_description", "description", "title", "error")


class TokenRefused(ErpCredentials):
    """401: the token may just have expired, so another one is worth a try. A 403 is plain ErpCredentials."""


class Unexplained(ErpRejected):
    """A write that failed without a reason for people: it may be the record's, or of a release that came between."""


@dataclass(slots=True)
class Response:
    """An answer. `body` is the parsed JSON, or None for an empty body (a refusal's body may be text)."""

    status: int
    headers: httpx.Headers
    body: Json


Judge: TypeAlias = Callable[[Response, bool], ErpError | None]


def problem_words(body: Json) -> str | None:
    """The sentence for a person in problem+json (RFC 9457) and its common cousins."""
    if isinstance(body, str):
        return body
    if not isinstance(body, dict):
        return None
    for name in _WORDS:
        found = body.get(name)
        if isinstance(found, dict):
            found = problem_words(found)
        if isinstance(found, str) and found:
            return found
    return None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Turns the answers of one ERP into values or Erp* errors."""

    system: str
    clock: Clock
    words: Callable[[Json], str | None]
    parse: Callable[[bytes], Json]
    retry_after_means_unwritten: bool

    def answer(self, response: httpx.Response, write: bool) -> Response:
        """A successful answer. Raises when its body is no JSON: then nobody knows what was done."""
        status, content = response.status_code, response.content
        if not content and status != httpx.codes.OK:
            return Response(status, response.headers, None)
        try:
            return Response(status, response.headers, self.parse(content))
        except (ValueError, ArithmeticError) as error:  # a number may be none that there can be
            kind = ErpAmbiguous if write else ErpAnswerIncomplete
            raise kind(self.system, f"answered {status} with a body that is no JSON") from error

    def refusal(self, response: httpx.Response) -> Response:
        """Any other answer; a body that is no JSON is passed on only if it is short plain text."""
        body: Json = None
        try:
            body = self.parse(response.content)
        except (ValueError, ArithmeticError):
            if response.headers.get("content-type", "").startswith("text/plain"):
                body = response.text
        return Response(response.status_code, response.headers, body)

    def error(self, answer: Response, write: bool) -> ErpError:
        status = answer.status
        said = f"answered {status}: {self._said(answer)}"
        if status == httpx.codes.TOO_MANY_REQUESTS:
            return ErpRateLimited(self.system, self._retry_after_s(answer))
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            kind = TokenRefused if status == httpx.codes.UNAUTHORIZED else ErpCredentials
            return kind(self.system, f"{said}; renew the credentials in the estate")
        if status in _UNWRITTEN or 300 <= status < 400:
            return ErpUnavailable(self.system, said)
        if 400 <= status < 500:
            return ErpRejected(self.system, self._said(answer))
        if status == httpx.codes.SERVICE_UNAVAILABLE and self._refused_unwritten(answer):
            return ErpRateLimited(self.system, self._retry_after_s(answer))
        if write:
            return ErpAmbiguous(self.system, said)
        return ErpUnavailable(self.system, said) if status >= 500 else ErpAnswerIncomplete(self.system, said)

    def _refused_unwritten(self, answer: Response) -> bool:
        return self.retry_after_means_unwritten and "retry-after" in answer.headers

    def _said(self, answer: Response) -> str:
        location = answer.headers.get("location") if 300 <= answer.status < 400 else None
        if location:
            return f"redirects to {location}; put that address into the estate file"
        words = " ".join((self.words(answer.body) or "").split())
        return words[:_MOST_WORDS] or f"it gave no reason (HTTP {answer.status})"

    def _retry_after_s(self, answer: Response) -> float:
        value = answer.headers.get("retry-after", "").strip()
        if value.isascii() and value.isdigit():
            return min(float(value), _LONGEST_WAIT_S)
        try:
            wait = parsedate_to_datetime(value) - self.clock.now()
        except (TypeError, ValueError):  # no date either, or one without a zone
            return _RETRY_AFTER_S
        return min(max(0.0, float(math.ceil(wait.total_seconds()))), _LONGEST_WAIT_S)


@dataclass(frozen=True, slots=True)
class Row:
    """A JSON object of an answer, read field by field: one that lost a field we need raises.

    After a write that is ErpAmbiguous (look the object up), after a read ErpAnswerIncomplete.
    """

    system: str
    fields: Mapping[str, Json]
    write: bool = False

    @classmethod
    def of(cls, system: str, body: Json, *, write: bool = False) -> "Row":
        if not isinstance(body, dict):
            raise _incomplete(system, "an object", write)
        return cls(system, body, write)

    def text(self, name: str) -> str:
        value = self.fields.get(name)
        if not isinstance(value, str):
            raise _incomplete(self.system, f"the text {name!r}", self.write)
        return value

    def optional(self, name: str) -> str | None:
        """Text or null; the field itself must be there."""
        value = self.fields.get(name, False)
        if value is not None and not isinstance(value, str):
            raise _incomplete(self.system, f"the text {name!r}", self.write)
        return value

    def decimal(self, name: str) -> Decimal:
        value = self.fields.get(name)
        if isinstance(value, float | bool) or not isinstance(value, str | int | Decimal):
            raise _incomplete(self.system, f"the exact number {name!r}", self.write)
        try:
            found = Decimal(value)
        except ArithmeticError as error:
            raise _incomplete(self.system, f"the number {name!r}", self.write) from error
        if not found.is_finite() or found.adjusted() >= MOST_DIGITS:
            raise _incomplete(self.system, f"a number that can be in {name!r}", self.write)
        return found

    def flag(self, name: str) -> bool:
        value = self.fields.get(name)
        if not isinstance(value, bool):
            raise _incomplete(self.system, f"the flag {name!r}", self.write)
        return value

    def row(self, name: str) -> "Row":
        value = self.fields.get(name)
        if not isinstance(value, dict):
            raise _incomplete(self.system, f"the object {name!r}", self.write)
        return Row(self.system, value, self.write)

    def rows(self, name: str) -> list["Row"]:
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise _incomplete(self.system, f"the list {name!r}", self.write)
        return [Row(self.system, item, self.write) for item in value if isinstance(item, dict)]

    def texts(self, name: str) -> list[str]:
        value = self.fields.get(name)
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _incomplete(self.system, f"the list {name!r}", self.write)
        return [str(item) for item in value]


def _incomplete(system: str, what: str, write: bool) -> ErpError:
    kind = ErpAmbiguous if write else ErpAnswerIncomplete
    return kind(system, f"its answer lacks {what}; compare its API version with the one this connector was built for")
