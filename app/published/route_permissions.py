"""Which permission a route asks for, found in its dependencies: one source for the table, the document and the code."""

from collections.abc import Iterator

from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext

from app.identity.bearer import Needing
from sync_core.authority import Permission


def permissions_of(route: RouteContext) -> frozenset[Permission]:
    """What the route's dependencies, and theirs, ask for."""
    return frozenset(_asked(route.dependant))


def _asked(dependant: Dependant) -> Iterator[Permission]:
    if isinstance(dependant.call, Needing):
        yield dependant.call.permission
    for inner in dependant.dependencies:
        yield from _asked(inner)
