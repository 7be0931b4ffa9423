"""Which request is which operation. Paths are /v1/<collection>[/<id> or /ext:<key>][/<sub>]."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias
from urllib.parse import parse_qs, unquote

from app.sandbox.cloud import provisioning
from app.sandbox.cloud.api import Answer, Api, Call
from app.sandbox.cloud.records import BY_PATH

Handler: TypeAlias = Callable[[Call], Answer]
Shape: TypeAlias = tuple[str, str, bool, str]  # method, collection, with an id, sub


@dataclass(frozen=True, slots=True)
class Route:
    operation: str  # the name that faults and the ledger use
    handler: Handler
    write: bool


def table(api: Api) -> Mapping[Shape, Route]:
    routes: dict[Shape, Route] = {
        ("GET", "provisioning", True, ""): Route("provisioning.read", partial(provisioning.read, api), write=False),
        ("GET", "financials", False, ""): Route("financials.read", api.financials, write=False),
        ("GET", "revenue-postings", False, ""): Route("revenue.read", api.revenue_postings, write=False),
        ("GET", "me", False, ""): Route("me.read", api.me, write=False),
        ("GET", "fields", False, ""): Route("fields.read", api.fields, write=False),
        ("PUT", "projects", True, ""): Route("project.upsert", api.put_one, write=True),
        ("POST", "projects", False, ""): Route("project.create", api.create_one, write=True),
    }
    for verb, handler in (("activate", api.activate), ("hold", api.hold), ("close", api.close)):
        routes["POST", "projects", True, verb] = Route(f"project.{verb}", handler, write=True)
    for path, record in BY_PATH.items():
        at: tuple[str, bool, str] = ("projects", True, path) if record.part else (path, False, "")
        if path != "projects":
            routes["PUT", *at] = Route(f"{record.kind}.upsert", api.put_many, write=True)
            routes["POST", *at] = Route(f"{record.kind}.create", api.create_many, write=True)
            routes["DELETE", path, True, ""] = Route(f"{record.kind}.close", api.delete, write=True)
        routes["GET", *at] = Route(f"{record.kind}.list", api.read_many, write=False)
        routes["GET", path, True, ""] = Route(f"{record.kind}.read", api.read_one, write=False)
        if record.part or path == "projects":
            routes["POST", path, True, "relabel"] = Route(f"{record.kind}.relabel", api.relabel, write=True)
        routes["PATCH", path, True, ""] = Route(f"{record.kind}.update", api.change, write=True)
    return routes


def call_of(method: str, raw_path: bytes, query: bytes) -> Call | None:
    """`raw_path` is still percent-encoded: keys hold slashes."""
    steps = raw_path.decode("ascii", "replace").split("/")
    if not 3 <= len(steps) <= 5 or steps[1] != "v1":
        return None
    ident = unquote(steps[3]) if len(steps) > 3 else ""
    external = ident.startswith("ext:")
    params = parse_qs(query.decode("ascii", "replace"), keep_blank_values=True) if query else {}
    sub = steps[4] if len(steps) > 4 else ""
    return Call(method, steps[2], ident.removeprefix("ext:"), external, sub, params)


def shape_of(call: Call) -> Shape:
    return call.method, call.collection, bool(call.ident), call.sub
