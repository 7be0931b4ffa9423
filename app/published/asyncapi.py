"""AsyncAPI 3.0 of the events that come in and go out, made from the registries; `make docs` writes docs/asyncapi.yaml.

Schemas stand in `components`, because references are those of the whole document here.
"""

import copy
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Final

import orjson

from sync_core.delivery.messages import OUTGOING
from sync_core.events import REGISTRY
from sync_core.intake.cloudevents import STRUCTURED
from sync_core.schemas.versions import STANDARD, State, Version, versions

Document = dict[str, Any]  # JSON

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"

_TEXT: Final = {"type": "string"}
_SIGNED: Final = {
    "type": "object",
    "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
    "properties": {
        "webhook-id": {**_TEXT, "description": "The same in every attempt"},
        "webhook-timestamp": {**_TEXT, "description": "Unix seconds of this attempt"},
        "webhook-signature": {**_TEXT, "description": "v1,<base64 of HMAC-SHA256 over id.timestamp.body>, one or more"},
    },
}
_IN: Final = {
    "specversion": {"const": "1.0"},
    "id": {**_TEXT, "minLength": 1, "maxLength": 1000, "description": "Unique for the source, the same in every retry"},
    "source": {**_TEXT, "format": "uri-reference", "description": "As in the estate file"},
    "time": {**_TEXT, "format": "date-time", "description": "When it happened; give it"},
    "subject": _TEXT,
    "datacontenttype": _TEXT,
    "dataschema": {**_TEXT, "format": "uri"},
    "traceparent": {**_TEXT, "description": "W3C Trace Context"},
    "correlationid": {**_TEXT, "description": "Yours, else one is made"},
}
_OUT: Final = {
    "specversion": {"const": "1.0"},
    "id": {**_TEXT, "minLength": 1, "description": "Made of the fact: the same however often it is announced"},
    "source": {**_TEXT, "format": "uri-reference", "description": "This installation"},
    "subject": {**_TEXT, "description": "What it is about, such as contract/17"},
    "time": {**_TEXT, "format": "date-time"},
    "datacontenttype": {"const": "application/json"},
    "dataschema": {**_TEXT, "format": "uri"},
    "sequence": {**_TEXT, "pattern": "^[0-9]{20}$", "description": "Rises, with gaps"},
    "recordedtime": {**_TEXT, "format": "date-time"},
}
_ABOUT: Final = f"""\
What a CLM tells Tieline, and what Tieline tells its subscribers: CloudEvents 1.0 in structured mode, signed by Standard
Webhooks 1.0.0. Names follow one standard: {STANDARD}.
"""


def document(known: Mapping[str, Version] | None = None, *, on: date | None = None) -> Document:
    """`known`: where versions stand by the estate file, and `on` the day for which that is said; else as released."""
    known = known or versions()
    schemas: Document = {}
    messages: Document = {}
    for name, one in REGISTRY.items():
        messages[name] = _message(name, one.summary, _IN, ["id", "source", "type", "specversion", "data"])
        messages[name] |= _standing(known[name], on)
        _hoist(name, one.schema(), schemas)
    for name, told in OUTGOING.items():
        messages[name] = _message(name, told.payload.__doc__, _OUT, [*_OUT, "type", "data"])
        _hoist(name, told.schema(), schemas)
    return {
        "asyncapi": "3.0.0",
        "id": "urn:tieline:events",
        "info": {"title": "Tieline events", "version": installed_version("tieline"), "description": _ABOUT,
                 "license": {"name": "Apache-2.0"}},
        "defaultContentType": STRUCTURED,
        "servers": {
            "tieline": {
                "host": "{host}", "protocol": "https", "description": "An installation of Tieline",
                "variables": {"host": {"default": "127.0.0.1:8080"}},
            },
        },
        "channels": {
            "intake": {
                "address": "/v1/events", "description": "One event of a request, or a batch of them in an array",
                "servers": [{"$ref": "#/servers/tieline"}], "messages": _references(REGISTRY),
            },
            "subscriber": {
                "address": None, "description": "The url of each [[subscriber]] of the estate file",
                "messages": _references(OUTGOING),
            },
        },
        "operations": {
            "receiveContractEvents": _operation("receive", "intake", "A CLM tells what happened to a contract"),
            "sendEvents": _operation("send", "subscriber", "Tieline tells what became of it; see docs/delivery.md"),
        },
        "components": {"messages": messages, "schemas": schemas},
    }  # fmt: skip


def _references(names: Mapping[str, object]) -> Document:
    return {name: {"$ref": f"#/components/messages/{name}"} for name in names}


def _operation(action: str, channel: str, summary: str) -> Document:
    return {
        "action": action, "channel": {"$ref": f"#/channels/{channel}"}, "summary": summary,
        "bindings": {"http": {"method": "POST", "bindingVersion": "0.3.0"}},
    }  # fmt: skip


def _message(name: str, words: str | None, envelope: Document, required: list[str]) -> Document:
    payload = {
        "type": "object",
        "required": sorted(required),
        "properties": {**envelope, "type": {"const": name}, "data": {"$ref": f"#/components/schemas/{name}"}},
    }
    summary = (words or "").strip().partition("\n")[0]
    return {
        "name": name, "title": name, "summary": summary, "contentType": STRUCTURED, "headers": _SIGNED,
        "payload": payload,
    }  # fmt: skip


def _standing(one: Version, on: date | None) -> Document:
    """`x-` fields: AsyncAPI has no word for a version that is on its way out."""
    told: Document = {"x-owner": one.owner.value}
    dates = {"deprecated": one.deprecated_on, "sunset": one.sunset_on, "removed": one.removed_on}
    told |= {f"x-{what}-on": day.isoformat() for what, day in dates.items() if day}
    told |= {"x-successor": one.successor} if one.successor else {}
    if on is not None and one.state(on) is not State.ACTIVE:
        told["tags"] = [{"name": one.state(on).value}]
    return told


def _hoist(name: str, schema: Document, schemas: Document) -> None:
    """The schema and its definitions, each under a name of the whole document; what is alike stands there once."""
    for prefix in ("", f"{name}."):
        made = copy.deepcopy(schema)
        inner = made.pop("$defs", {})
        for holder in _referring([made, inner]):
            holder["$ref"] = holder["$ref"].replace("#/$defs/", f"#/components/schemas/{prefix}")
        named = {f"{prefix}{each}": part for each, part in inner.items()}
        if all(schemas.get(each, part) == part for each, part in named.items()):
            break
    schemas |= named
    schemas[name] = {key: value for key, value in made.items() if key not in ("$schema", "$id")}


def _referring(part: object) -> Iterator[Document]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part
        for value in part.values():
            yield from _referring(value)
    elif isinstance(part, list):
        for value in part:
            yield from _referring(value)


def written() -> str:
    """JSON, which YAML 1.2 is a superset of: read by both kinds of tools, and written by no library of ours."""
    head = "# Made from the code by `make docs`; do not edit it.\n"
    return head + orjson.dumps(document(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"


def main(out: Path = DOCUMENT) -> None:
    """Write the document."""
    out.write_text(written(), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
