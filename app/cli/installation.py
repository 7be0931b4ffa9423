"""What is installed here: its release, its database and the tables there, a link to its dashboard."""

from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from app.cli.begin import begin
from app.cli.refusals import Exit, Refusal


def database_url(
    owner: Annotated[bool, typer.Option("--owner", help="With the owner's rights; embedded PostgreSQL only.")] = False,
) -> None:
    """Print the URL of the database in use, password included, for psql and pg_dump."""
    from app.postgres.urls import in_use

    urls = in_use(begin("database-url"))
    if owner and not urls.embedded:
        raise Refusal("The owner of an external database is not Tieline's to tell; ask whoever runs it.", Exit.NOT_OURS)
    typer.echo(urls.owner if owner else urls.app)


def link(
    grants: Annotated[
        list[str] | None,
        typer.Option("--as", help="A role, such as operator:tax@MA-UK+MA-DE or auditor. Repeat for more; all if none."),
    ] = None,
    name: Annotated[str, typer.Option(help="The e-mail address to act under.")] = "operator@localhost",
) -> None:
    """Print a link that opens the dashboard once, within an hour. Not with an identity provider in the estate."""
    from app.cli import link_printing
    from app.wiring import Wiring

    settings = begin("link")
    wiring = Wiring(settings, "link")
    person = link_printing.person_for(wiring.estate, name, grants)
    running = wiring.home.running().get("url")
    base_url = settings.public_url or running or f"http://{settings.host}:{settings.port}"
    typer.echo(link_printing.new_link(wiring, base_url, person))


def migrate() -> None:
    """Bring the database to the tables of this release; safe to repeat, and from several hosts at once."""
    from app.postgres.urls import migrate_now

    typer.echo(migrate_now(begin("migrate")))


def version() -> None:
    """Print the release."""
    typer.echo(installed_version("tieline"))
