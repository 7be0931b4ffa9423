"""How the ERP says no: RFC 9457 problems with a stable `code`."""

from collections.abc import Mapping


class Problem(Exception):
    """A refusal; becomes the answer of the request. Nothing of the request is kept."""

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, dict(headers or {})

    def __reduce__(self) -> tuple[type, tuple[int, str, str, dict[str, str]]]:
        return type(self), (self.status, self.code, self.detail, self.headers)

    def body(self) -> dict[str, str | int]:
        return {
            "type": f"urn:sandbox-cloud:{self.code}",
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }


def not_found(what: str) -> Problem:
    return Problem(404, "not_found", f"{what} does not exist")


def invalid(code: str, detail: str) -> Problem:
    return Problem(422, code, detail)
