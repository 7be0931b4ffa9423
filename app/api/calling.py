"""What a route of the API is given: who calls, what they may read, and the desk that carries out what they ask for."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from pydantic import BaseModel

from app.api.access_log import AccessLog
from app.api.refused import Code, Refused
from app.identity.bearer import needs
from metrics.measures import Measures
from sync_core.audit.audit import Entry
from sync_core.authority import Actor, Permission
from sync_core.commands.commands import Commands
from sync_core.commands.desk import Act, Answered, Once
from sync_core.reads.reads import Reads

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Api:
    """What the API is made of; `app.state.api`."""

    reads: Reads  # of the primary, so that what was just done is seen
    commands: Commands
    log: AccessLog
    measures: Measures  # likewise


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a program that has `permission` somewhere."""

    actor: Actor
    permission: Permission
    api: Api
    reads: Reads  # within the actor's reach
    measures: Measures  # likewise

    def carry_out(self, once: Once | None, work: Callable[[Act], T], view: Callable[[T], BaseModel]) -> Answered:
        """Once for each Idempotency-Key; `view` makes the answer of what the command came to."""
        return self.api.commands.desk.run_once(
            self.actor, self.permission, once, lambda act: view(work(act)).model_dump(mode="json")
        )

    def showed(self, contract_ids: Iterable[int]) -> None:
        """A list that showed these contracts."""
        self.api.log.listed(self.actor, self.permission, contract_ids)

    def showed_one(
        self, action: str, subject: str, *, contract_id: int | None = None, legal_entity: str | None = None
    ) -> None:
        """One thing that was asked for by its id; audited before it is sent."""
        entry = Entry(action, subject, contract_id=contract_id, legal_entity=legal_entity or None)
        self.api.log.one(self.actor, entry)


def calling(permission: Permission) -> Callable[[Request, Actor], Awaitable[Call]]:
    """A route's dependency; app/published/permissions_table.py finds the permission in it."""

    async def call(request: Request, actor: Annotated[Actor, Depends(needs(permission))]) -> Call:
        _refuse_unknown(request)
        api: Api = request.app.state.api
        return Call(actor, permission, api, api.reads.within(actor), api.measures.within(actor))

    return call


def _refuse_unknown(request: Request) -> None:
    """A misspelt filter would silently list everything."""
    known = _parameters(request.scope["route"].dependant)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        some = f"it has {', '.join(sorted(known))}" if known else "it has none"
        raise Refused(Code.UNKNOWN_PARAMETER, f"this route has no parameter {unknown[0][:40]!r}; {some}")


def _parameters(dependant: Dependant) -> frozenset[str]:
    return frozenset(_names(dependant))


def _names(dependant: Dependant) -> Iterable[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _names(inner)
