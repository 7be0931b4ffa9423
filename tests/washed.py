"""Databases that tests use one after the other: what a test has filled is emptied, not dropped and cloned anew.

A clone and its drop cost a hundred milliseconds and more: some eight hundred files, and both wait until every session
of the server has heard of it. Emptying costs a tenth. What is lent again equals a clone: the tables that had no rows
have none, and no pages; the others have the template's; sequences begin anew; the name is new, so that nothing kept by
name is taken for the new one's. The application's role can change nothing else but make partitions, so a database that
was used as its owner, or that has other tables than its template, is dropped.
"""

from collections.abc import Sequence

import psycopg
from psycopg import sql

from app.postgres.embedded import Endpoint
from tests import databases
from tests.databases import Connection, DatabaseUrls

_OURS = """
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
"""
_RELATIONS = f"SELECT string_agg(CAST(c.oid AS text), ' ' ORDER BY c.oid) {_OURS}".encode()
# A table that never had a row has no page either; one whose rows were rolled back has.
_FILLED = f"SELECT n.nspname, c.relname {_OURS} AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0".encode()
_USED = b"SELECT schemaname, sequencename FROM pg_sequences WHERE last_value IS NOT NULL"

Name = tuple[str, str]


class Washed:
    """Databases of one template for the tests of one process."""

    def __init__(self, endpoint: Endpoint, template: str) -> None:
        self._endpoint, self._template, self._clean = endpoint, template, list[DatabaseUrls]()
        self._maintenance = databases.maintenance(endpoint)
        self._relations, self._rows = "", dict[Name, bytes]()  # of the template; rows by table

    def lend(self) -> DatabaseUrls:
        """A database that equals the template, for one user."""
        if self._clean:
            return self._clean.pop()
        urls = databases.clone(self._endpoint, self._template)
        if not self._relations:
            self._learn(urls)
        return urls

    def take_back(self, urls: DatabaseUrls) -> None:
        """Ends sessions that its user left open."""
        if urls.owned:
            databases.drop(self._endpoint, urls)
            return
        again = databases.renamed(self._maintenance, urls)
        if self._wash(again):
            again.owned = False
            self._clean.append(again)
        else:
            databases.drop(self._endpoint, again)

    def close(self) -> None:
        self._maintenance.close()
        for urls in self._clean:
            databases.drop(self._endpoint, urls)

    def _learn(self, urls: DatabaseUrls) -> None:
        with psycopg.connect(urls.owner_libpq) as conn:
            self._relations = _relations(conn)
            self._rows = {table: _content(conn, table) for table in _names(conn, _FILLED)}
            assert not _names(conn, _USED), "a sequence of the template has begun"
        urls.owned = False

    def _wash(self, urls: DatabaseUrls) -> bool:
        with psycopg.connect(urls.owner_libpq) as conn:
            if _relations(conn) != self._relations:
                return False
            _truncate(conn, [table for table in _names(conn, _FILLED) if table not in self._rows])
            for table, rows in self._rows.items():
                if _content(conn, table) != rows:
                    _truncate(conn, [table])
                    with conn.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(*table))) as copy:
                        copy.write(rows)
            for sequence in _names(conn, _USED):
                conn.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(*sequence)))
        return True


def _relations(conn: Connection) -> str:
    return str(conn.execute(_RELATIONS).fetchall()[0][0])


def _names(conn: Connection, query: bytes) -> list[Name]:
    return [(str(schema), str(name)) for schema, name in conn.execute(query).fetchall()]


def _content(conn: Connection, table: Name) -> bytes:
    with conn.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(*table))) as copy:
        return b"".join(bytes(part) for part in copy)


def _truncate(conn: Connection, tables: Sequence[Name]) -> None:
    """With CASCADE: what refers to them has no rows left, or is among them."""
    if tables:
        names = sql.SQL(", ").join(sql.Identifier(*table) for table in tables)
        conn.execute(sql.SQL("TRUNCATE {} CASCADE").format(names))
