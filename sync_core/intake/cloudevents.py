"""CloudEvents 1.0 over HTTP: structured, batch and binary mode, read without side effects.

Required attributes are never invented. `time` is optional in the standard; without it the moment of receipt
stands for it, and the order of such events then depends on arrival, so senders should give it.
What is left open by the sender is derived from (source, id), so that a retry says the same: the correlation id
(extension `correlationid`) and the trace (extension `traceparent`, else the HTTP header, else a new one).
Source: https://github.com/cloudevents/spec/tree/v1.0.2 (read 2026-11-23).
"""

import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Final
from urllib.parse import unquote_to_bytes

from sync_core import json_exact
from sync_core.errors import MalformedEvent, UnsupportedMediaType
from sync_core.json_exact import JsonValue

STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"

Scalar = str | int | bool

_STANDARD = ("specversion", "id", "source", "type", "time", "subject", "datacontenttype", "dataschema")
_NAME = re.compile(r"[a-z0-9]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BROKEN_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_JSON_TYPE = re.compile(r"(application|text)/([a-z0-9.!#$&^_-]+\+)?json", re.IGNORECASE)
# A unique index over (source, id) takes 2,704 bytes in PostgreSQL.
_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event as its sender meant it; `body` is all of it as structured JSON, `data` its payload as JSON."""

    id: str
    source: str
    type: str
    time: datetime | None  # UTC
    subject: str | None
    attributes: Mapping[str, Scalar]  # all but id, source and type, extensions included
    data: bytes
    storable: bool  # False: some text in it holds U+0000
    json_data: bool  # False: datacontenttype is no JSON, so `data` holds the bytes as a base64 text
    traceparent: str
    correlation_id: str
    body: bytes


def media_type(content_type: str | None) -> str:
    """Without parameters, lower case."""
    return (content_type or "").partition(";")[0].strip().lower()


def parse_request(headers: Mapping[str, str], body: bytes) -> list[CloudEvent]:
    """The events of one HTTP request; names in `headers` are lower case.

    Raises MalformedEvent that names the attribute, UnsupportedMediaType for none of the three modes.
    """
    kind = media_type(headers.get("content-type"))
    header = headers.get("traceparent")
    if kind == STRUCTURED:
        return [parse_structured(body, traceparent=header)]
    if kind == BATCH:
        return parse_batch(body, traceparent=header)
    if "ce-specversion" in headers or "ce-id" in headers:
        return [parse_binary(headers, body)]
    raise UnsupportedMediaType(
        f"content type {kind or 'missing'!r} is none of {STRUCTURED}, {BATCH} or, with ce- headers, {JSON}"
    )


def parse_structured(body: bytes, *, traceparent: str | None = None) -> CloudEvent:
    """One event as a JSON object; `body` is kept byte by byte."""
    return _from_object(_json(body), body, traceparent)


def parse_batch(body: bytes, *, traceparent: str | None = None) -> list[CloudEvent]:
    """A JSON array of at least one event; one malformed event refuses the whole batch."""
    listed = _json(body)
    if not isinstance(listed, list) or not listed:
        raise MalformedEvent("the body of a batch is a JSON array of at least one event; send one")
    events = []
    for place, item in enumerate(listed):
        try:
            events.append(_from_object(item, json_exact.dump(item), traceparent))
        except MalformedEvent as wrong:
            raise MalformedEvent(f"event {place} of the batch: {wrong.message}") from wrong
    return events


def parse_binary(headers: Mapping[str, str], body: bytes) -> CloudEvent:
    """Attributes in percent-encoded `ce-` headers, the data as the body."""
    given: dict[str, JsonValue] = {
        name[3:]: _decoded(name, value) for name, value in headers.items() if name.startswith("ce-")
    }
    if "data" in given or "data_base64" in given or "datacontenttype" in given:
        raise MalformedEvent("data is the body and datacontenttype is Content-Type; leave out their ce- headers")
    given["datacontenttype"] = content_type = headers.get("content-type") or JSON
    if _JSON_TYPE.fullmatch(media_type(content_type)):
        given["data"] = _json(body) if body else None
    else:
        given["data_base64"] = base64.b64encode(body).decode()
    return _from_object(given, json_exact.dump(given), headers.get("traceparent"))


def _json(body: bytes) -> JsonValue:
    try:
        return json_exact.parse(body)
    except ValueError as wrong:
        raise MalformedEvent(f"the body is not JSON that can be kept: {wrong}") from wrong


def _decoded(name: str, value: str) -> str:
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    if _BROKEN_PERCENT.search(text):
        raise MalformedEvent(f"header {name}: a percent sign must start an escape such as %20; write it as %25")
    try:
        return unquote_to_bytes(text.encode("utf-8")).decode("utf-8")
    except UnicodeDecodeError as wrong:
        raise MalformedEvent(f"header {name} is not percent-encoded UTF-8") from wrong


def _from_object(given: JsonValue, body: bytes, header: str | None) -> CloudEvent:
    if not isinstance(given, dict):
        raise MalformedEvent("an event is a JSON object; send one with id, source, specversion and type")
    attributes = {
        name: _attribute(name, value)
        for name, value in given.items()
        if name not in ("data", "data_base64") and value is not None
    }
    if _text(attributes, "specversion") != "1.0":
        raise MalformedEvent(f'specversion is {attributes["specversion"]!r}; only "1.0" is understood')
    event_id, source = _text(attributes, "id"), _text(attributes, "source")
    if " " in source:
        raise MalformedEvent("source is a URI reference; it holds no spaces")
    data, is_json = _data(given, attributes)
    return CloudEvent(
        id=event_id,
        source=source,
        type=_text(attributes, "type"),
        time=_time(attributes),
        subject=_text(attributes, "subject") if "subject" in attributes else None,
        attributes={name: value for name, value in attributes.items() if name not in ("id", "source", "type")},
        data=json_exact.dump(data),
        storable=not json_exact.holds_nul(data),
        json_data=is_json,
        traceparent=_traceparent(attributes.get("traceparent"), header, source, event_id),
        correlation_id=_correlation_id(attributes, source, event_id),
        body=body,
    )


def _attribute(name: str, value: JsonValue) -> Scalar:
    if not _NAME.fullmatch(name):
        raise MalformedEvent(f"attribute {name[:40]!r}: names are made of a-z and 0-9; rename it")
    if isinstance(value, str):
        return _checked_text(name, value)
    if name in _STANDARD or not isinstance(value, int) or abs(value) >= 2**31:
        raise MalformedEvent(f"{name} must be a text (an extension may be a truth value or a 32-bit integer)")
    return value


def _checked_text(name: str, value: str) -> str:
    if not value and name in _STANDARD:
        raise MalformedEvent(f"{name} is empty; give it or leave it out")
    if len(value.encode("utf-8", "replace")) > _LONGEST:
        raise MalformedEvent(f"{name} is longer than {_LONGEST} bytes; shorten it")
    if _CONTROL.search(value):
        raise MalformedEvent(f"{name} holds a control character; remove it")
    return value


def _text(attributes: Mapping[str, Scalar], name: str) -> str:
    value = attributes.get(name)
    if not isinstance(value, str):
        raise MalformedEvent(f"{name} is missing; every event needs id, source, specversion and type")
    return value


def _time(attributes: Mapping[str, Scalar]) -> datetime | None:
    if "time" not in attributes:
        return None
    text = _text(attributes, "time")
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError("not RFC 3339")
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
        if not in_every_zone(moment):
            raise ValueError("a moment that nobody means")
        return moment
    except (ValueError, OverflowError) as wrong:
        raise MalformedEvent(f"time {text!r} is no RFC 3339 timestamp; write 2026-11-23T09:30:00Z") from wrong


def in_every_zone(moment: datetime) -> bool:
    """Whether it can be stored and then shown in any time zone: not so the first and last moment of a calendar."""
    try:
        return MINYEAR < moment.astimezone(UTC).year < MAXYEAR
    except OverflowError:
        return False


def _data(given: Mapping[str, JsonValue], attributes: Mapping[str, Scalar]) -> tuple[JsonValue, bool]:
    if "data" in given and "data_base64" in given:
        raise MalformedEvent("data and data_base64 are both there; send one of them")
    is_json = _JSON_TYPE.fullmatch(media_type(str(attributes.get("datacontenttype", JSON)))) is not None
    if "data_base64" not in given:
        return given.get("data"), is_json
    coded = given["data_base64"]
    try:
        if not isinstance(coded, str):
            raise ValueError("not a text")
        data = base64.b64decode(coded, validate=True)
    except (ValueError, binascii.Error) as wrong:
        raise MalformedEvent("data_base64 is not base64; encode the bytes of the data") from wrong
    return (_json(data), True) if is_json else (coded, False)


def valid_traceparent(text: object) -> bool:
    """W3C Trace Context, version 00."""
    return isinstance(text, str) and _TRACEPARENT.fullmatch(text) is not None


def _traceparent(extension: Scalar | None, header: str | None, source: str, event_id: str) -> str:
    for candidate in (extension, header):
        if valid_traceparent(candidate):
            return str(candidate)
    digest = hashlib.sha256(f"{source}\n{event_id}".encode()).hexdigest()
    return f"00-{digest[:32]}-{digest[32:48]}-01"


def _correlation_id(attributes: Mapping[str, Scalar], source: str, event_id: str) -> str:
    given = attributes.get("correlationid")
    if isinstance(given, str) and given:
        return given
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{source}\n{event_id}"))
