"""`tieline link`: a one-time link for whoever runs the demo or a trial, under any name and with any role.

With an identity provider in the estate there are no links: what a person may do is decided there.
"""

from collections.abc import Sequence

import typer

from app.cli.actor import operator_of_this_machine
from app.cli.refusals import Exit, Refusal
from app.identity.links import OPERATOR, create_link
from app.identity.sessions import Person
from app.wiring import Wiring
from sync_core.authority import Grant, InvalidGrant, parse_grants
from sync_core.estate.estate import Estate


def person_for(estate: Estate, name: str, grants: Sequence[str] | None) -> Person:
    """Whom the link is for; every role without `grants`. Raises typer.BadParameter."""
    try:
        given = parse_grants(grants or OPERATOR.grants)
    except InvalidGrant as wrong:
        raise typer.BadParameter(wrong.message, param_hint="--as") from wrong
    unknown = sorted(_entities(given) - estate.entities.keys())
    if unknown:
        known = ", ".join(sorted(estate.entities))
        raise typer.BadParameter(f"no legal entity {', '.join(unknown)}; there are {known}", param_hint="--as")
    try:
        return Person(name.strip().lower(), tuple(str(grant) for grant in given))
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--name") from wrong


def new_link(wiring: Wiring, base_url: str, person: Person = OPERATOR) -> str:
    """Raises Refusal where people sign in at an identity provider."""
    identity = wiring.estate.identity
    if identity.signs_people_in:
        raise Refusal(
            f"People sign in at {identity.issuer}; open {base_url} instead. Links are for estates without [identity].",
            Exit.NO_LINKS,
        )
    engine = wiring.engine(pool_size=1)
    try:
        with engine.begin() as conn:
            token = create_link(conn, person, by=operator_of_this_machine(), now=wiring.clock.now())
    finally:
        engine.dispose()
    return f"{base_url}/enter?t={token}"


def _entities(grants: Sequence[Grant]) -> frozenset[str]:
    return frozenset().union(*(grant.entities or frozenset() for grant in grants))
