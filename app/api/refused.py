"""Refusals that belong to HTTP itself, with codes as stable as those of sync_core/errors.py."""

from enum import StrEnum
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException


class Code(StrEnum):
    IF_MATCH_MISSING = "request.if_match_missing"
    KEY_MISSING = "idempotency.key_missing"
    KEY_MALFORMED = "idempotency.key_malformed"
    UNKNOWN_PARAMETER = "request.unknown_parameter"
    TOO_LARGE = "request.too_large"
    MEDIA_TYPE = "request.media_type"
    NO_SUCH_ROUTE = "http.not_found"
    METHOD = "http.method_not_allowed"


STATUS: Final = {
    Code.IF_MATCH_MISSING: HTTPStatus.PRECONDITION_REQUIRED,
    Code.KEY_MISSING: HTTPStatus.BAD_REQUEST,
    Code.KEY_MALFORMED: HTTPStatus.BAD_REQUEST,
    Code.UNKNOWN_PARAMETER: HTTPStatus.UNPROCESSABLE_ENTITY,
    Code.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Code.MEDIA_TYPE: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Code.NO_SUCH_ROUTE: HTTPStatus.NOT_FOUND,
    Code.METHOD: HTTPStatus.METHOD_NOT_ALLOWED,
}


class Refused(HTTPException):
    """Answered as a problem with `code`."""

    def __init__(self, code: Code, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(STATUS[code], detail, headers)
        self.code = code.value
