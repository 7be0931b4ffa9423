"""/_sandbox/...: what a test or the demo does to the ERP behind its customers' backs.

POST master, master/remove    add or remove master data (app/sandbox/cloud/masterdata.py has the shape), besides
                              "currencies": [{"code": "03", "iso": "EUR"}]; a new dump shows it at once
POST faults, DELETE faults    set one fault, clear all
GET objects                   {"items": [...]}: all documents, each with its `kind`
GET batches                   what was sent, oldest first
GET requests                  {"batch.send": 2, ...}: requests by operation, answered or not
POST clock                    {"at": "2026-11-26T23:00:00+01:00"}: its clock goes on from there
POST window                   {"opens": "22:00", "closes": "04:00", "answers": "06:00", "zone": "Europe/Vienna"}
POST layout, DELETE layout    {"record": "30", "field": "po"}: a release without this field; put all of them back
POST night                    run the night now
"""

from collections.abc import Callable, Mapping
from datetime import datetime, time
from typing import TYPE_CHECKING

from app.sandbox.cloud import masterdata
from app.sandbox.cloud.api import Answer
from app.sandbox.cloud.faults import fault_of
from app.sandbox.cloud.problems import Problem, invalid
from app.sandbox.cloud.records import as_object
from app.sandbox.cloud.store import Store
from app.sandbox.legacy.posting import KINDS
from sync_core.connectors.erp.sandbox_legacy.layout import PLACES
from sync_core.lanes.batches import BatchWindow

if TYPE_CHECKING:
    from app.sandbox.legacy.server import SandboxLegacy


class Admin:
    """Of one application."""

    def __init__(self, app: "SandboxLegacy") -> None:
        self._app = app

    def handle(self, method: str, path: str, body: object) -> Answer:
        app = self._app
        actions: Mapping[tuple[str, str], Callable[[], object]] = {
            ("POST", "master"): lambda: self._master(body),
            ("POST", "master/remove"): lambda: self._remove(body),
            ("POST", "faults"): lambda: app.faults.add(fault_of(as_object(body))),
            ("DELETE", "faults"): app.faults.clear,
            ("GET", "objects"): lambda: {"items": objects(app.store)},
            ("GET", "batches"): lambda: {"items": list(app.store.all("batch"))},
            ("GET", "requests"): lambda: dict(app.seen),
            ("POST", "clock"): lambda: self._clock(as_object(body)),
            ("POST", "window"): lambda: self._window(as_object(body)),
            ("POST", "layout"): lambda: self._drop(as_object(body)),
            ("DELETE", "layout"): self._restore,
            ("POST", "night"): lambda: app.nights.night(app.now()),
        }
        action = actions.get((method, path))
        if action is None:
            raise Problem(404, "not_found", f"{method} /_sandbox/{path} is none of this sandbox's admin calls")
        return Answer(200, action() or {})

    def _master(self, body: object) -> None:
        put_master(self._app.store, as_object(body))
        self._app.nights.publish(self._app.now())

    def _remove(self, body: object) -> None:
        masterdata.remove(self._app.store, as_object(body))
        self._app.store.commit()
        self._app.nights.publish(self._app.now())

    def _drop(self, body: Mapping[str, object]) -> None:
        record, name = str(body.get("record")), str(body.get("field"))
        if name not in PLACES.get(record, {}):
            raise invalid("invalid_field", f"no record {record!r} has a field {name!r}")
        self._app.nights.dropped.setdefault(record, set()).add(name)
        self._app.nights.publish(self._app.now())

    def _restore(self) -> None:
        self._app.nights.dropped.clear()
        self._app.nights.publish(self._app.now())

    def _clock(self, body: Mapping[str, object]) -> None:
        try:
            at = datetime.fromisoformat(str(body.get("at")))
        except ValueError as wrong:
            raise invalid("invalid_field", "at must be a moment with its zone") from wrong
        self._app.shift = at - self._app.clock.now()
        self._app.nights.advance(self._app.now())

    def _window(self, body: Mapping[str, object]) -> None:
        try:
            opens, closes, answers = (time.fromisoformat(str(body.get(n))) for n in ("opens", "closes", "answers"))
        except ValueError as wrong:
            raise invalid("invalid_field", "opens, closes and answers must be times such as 22:00") from wrong
        self._app.nights.window = BatchWindow(opens, closes, answers, str(body.get("zone", "UTC")))


def put_master(store: Store, body: Mapping[str, object]) -> None:
    """Add or replace master data, in the ERP's own codes; the currencies of legal entities by their ISO codes."""
    given = dict(body)
    currencies = given.pop("currencies", [])
    for row in currencies if isinstance(currencies, list) else []:
        values = as_object(row)
        store.put("currency", {"id": str(values["code"]), "iso": str(values["iso"])})
    masterdata.put(store, given)
    store.commit()


def objects(store: Store) -> list[dict[str, object]]:
    """What was reversed is gone; what was closed is there."""
    docs: list[dict[str, object]] = [{"kind": kind, **doc} for kind in KINDS.values() for doc in store.all(kind)]
    return [doc for doc in docs if doc.get("status") not in ("reversed", "ended")]
