"""Which PostgreSQL is used: that of DATABASE_URL, or the embedded one in the home. URLs as libpq reads them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import psycopg
from psycopg.conninfo import conninfo_to_dict

from app.cli.refusals import Exit, Refusal
from app.home import Home
from app.postgres.embedded import EmbeddedPostgres, Endpoint, Role
from app.postgres.home import read_record
from app.settings import Settings, masked


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """`direct` passes no pooler (locks, LISTEN); `read` may be a replica; `owner` makes the tables."""

    app: str = field(repr=False)
    owner: str = field(repr=False)
    direct: str = field(repr=False)
    read: str = field(repr=False)
    embedded: bool

    @property
    def pooled(self) -> bool:
        return self.direct != self.app

    @property
    def app_role(self) -> str:
        """The role that the migrations give the application's rights to."""
        return str(conninfo_to_dict(self.app).get("user") or Role.APP)

    def environment(self) -> Mapping[str, str]:
        """What a part of ours must be told to use the same."""
        return {
            "DATABASE_URL": self.app,
            "TIELINE_DATABASE_DIRECT_URL": self.direct,
            "TIELINE_READ_DATABASE_URL": self.read,
        }


def external(settings: Settings) -> DatabaseUrls | None:
    """None when no DATABASE_URL is set."""
    if settings.database_url is None:
        return None
    app = settings.database_url.get_secret_value()

    def other(name: str) -> str:
        given = getattr(settings, name)
        return str(given.get_secret_value()) if given is not None else app

    return DatabaseUrls(
        app=app,
        owner=other("database_owner_url"),
        direct=other("database_direct_url"),
        read=other("read_database_url"),
        embedded=False,
    )


def of_embedded(endpoint: Endpoint) -> DatabaseUrls:
    app = endpoint.libpq_url(Role.APP)
    return DatabaseUrls(app=app, owner=endpoint.libpq_url(Role.OWNER), direct=app, read=app, embedded=True)


def in_use(settings: Settings) -> DatabaseUrls:
    """Raises Refusal when there is neither a DATABASE_URL nor a running embedded server in the home."""
    if found := external(settings):
        return found
    server = EmbeddedPostgres(settings.home)
    if not settings.home.exists() or not server.running():
        raise Refusal(
            f"No database runs in {settings.home.absolute()}: start Tieline with `tieline up`, or set DATABASE_URL.",
            Exit.DATABASE_DOWN,
        )
    # Not server.start(): asking must write nothing, so that root may ask about another account's home.
    record = read_record(settings.home)
    return of_embedded(Endpoint(record.port or 0, record.passwords))


def sqlalchemy_url(libpq_url: str) -> str:
    """The same place, as SQLAlchemy names it."""
    return f"postgresql+psycopg://{libpq_url.partition('://')[2]}"


def migrate(urls: DatabaseUrls) -> None:
    """Bring the database to this release's tables. Raises Refusal when a newer release was here before."""
    from alembic.util import CommandError

    from sync_core.store import migrate as migrations

    try:
        migrations.migrate(sqlalchemy_url(urls.owner), app_role=urls.app_role)
    except CommandError as wrong:
        words = f"The database's tables are not of this release or an older one, install the newest Tieline: {wrong}"
        raise Refusal(words, Exit.DATABASE_REFUSED) from wrong


def check(urls: DatabaseUrls) -> None:
    """Connect once to each, so that a wrong URL is known now. Raises psycopg.Error."""
    for url in dict.fromkeys((urls.app, urls.owner, urls.direct, urls.read)):
        psycopg.connect(url, connect_timeout=10).close()


def migrate_now(settings: Settings) -> str:
    """Embedded: starts the server for as long as it takes, unless it runs already."""
    if found := external(settings):
        migrate(found)
        return f"{masked(found.app)} has the tables of this release"
    Home(settings.home).prepare()
    server = EmbeddedPostgres(settings.home)
    urls = of_embedded(server.start())
    try:
        migrate(urls)
    finally:
        server.stop()
    return f"{masked(urls.app)} has the tables of this release"
