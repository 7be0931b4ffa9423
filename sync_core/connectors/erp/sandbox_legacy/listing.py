"""What the last dump holds whoever made it, for the first day on a running firm; and the layout that this ERP tells.

A dump of fixed widths that lost a field, or moved one, still can be read, and means something else. So the layout is
asked for: a field counts as there only where it stands at its place.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sync_core.connectors.answers import Row
from sync_core.connectors.erp.sandbox_legacy.books import Books
from sync_core.connectors.erp.sandbox_legacy.codes import Codes
from sync_core.connectors.erp.sandbox_legacy.layout import LAYOUT, PLACES
from sync_core.connectors.erp.sandbox_legacy.mapping import found
from sync_core.desired import Found
from sync_core.keys import ErpRef
from sync_core.lanes.answers_needed import Needs, require
from sync_core.ports import CallContext, ProjectPage

_PAGE: Final = 200
NEEDS: Final = Needs((LAYOUT,), {kind: frozenset(places) for kind, places in PLACES.items()})


class Lister:
    """Open orders and their parts, under the keys that they bear."""

    def __init__(self, books: Books, codes: Codes) -> None:
        self._books, self._codes = books, codes

    async def projects(self, cursor: str | None, ctx: CallContext) -> ProjectPage:
        begin = cursor or ""
        left = sorted((o for o in await self._open(ctx) if o["document"] > begin), key=lambda order: order["document"])
        page = left[:_PAGE]
        last = page[-1]["document"] if page else begin
        return ProjectPage(tuple(map(self._found, page)), last, more=len(left) > _PAGE)

    async def project(self, ref: ErpRef, ctx: CallContext) -> Found | None:
        return next((self._found(order) for order in await self._open(ctx) if order["document"] == ref), None)

    async def _open(self, ctx: CallContext) -> list[Mapping[str, str]]:
        await self._books.read(ctx)
        return [order for held in self._books.dump.orders.values() for order in held if order["status"] != "C"]

    def _found(self, order: Mapping[str, str]) -> Found:
        return found(order, self._codes, is_open=True, billed_parts=self._billed(order))

    def _billed(self, order: Mapping[str, str]) -> bool:
        return any(part["billed"] for part in self._books.dump.parts.get(order["document"], ()))

    async def parts(self, project: Found, ctx: CallContext) -> Sequence[Found]:
        await self._books.read(ctx)
        return [found(part, self._codes, is_open=True) for part in self._books.dump.parts.get(project.ref, ())]


def look(told: Row) -> None:
    """Raises ErpAnswerIncomplete that names what is not there, or not at its place."""
    records = told.row("records")
    held = {kind: _at_their_places(kind, records.row(kind)) for kind in PLACES if kind in records.fields}
    require(told.system, NEEDS, [told.text("layout")], held)


def _at_their_places(kind: str, fields: Row) -> frozenset[str]:
    return frozenset(name for name, place in PLACES[kind].items() if fields.fields.get(name) == list(place))
