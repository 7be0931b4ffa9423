"""Small forms that strangers post: read to a limit, each field once."""

from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

_MOST_BYTES: Final = 32_768
_FORM: Final = "application/x-www-form-urlencoded"


class BadForm(Exception):
    """Not a form, too large, or a field twice; the message may be shown."""


async def form_of(request: Request) -> dict[str, str]:
    """Stops reading at the limit, whatever Content-Length said. Raises BadForm."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise BadForm(f"send a form, as {_FORM}")
    read = bytearray()
    async for chunk in request.stream():
        read += chunk
        if len(read) > _MOST_BYTES:
            raise BadForm("the form is too large")
    try:
        fields = parse_qsl(read.decode(), keep_blank_values=True, strict_parsing=bool(read), max_num_fields=50)
    except ValueError as wrong:
        raise BadForm("the form cannot be read") from wrong
    names = [name for name, _ in fields]
    if len(set(names)) < len(names):
        raise BadForm("a field is given twice")
    return dict(fields)
