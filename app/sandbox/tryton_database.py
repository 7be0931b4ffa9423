"""The PostgreSQL database of a Tryton server: made when missing, and whether its modules are in.

Tryton speaks PostgreSQL through psycopg 3 and takes the database's name apart from the server's address.
"""

from dataclasses import dataclass
from typing import LiteralString
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

MAINTENANCE = "postgres"
TABLES = """
    SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('ir_module') AND attname = 'state')
       AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('res_user') AND attname = 'password_hash')
"""
# trytond-admin sets the password last, so that a database without one was left half-made.
READY = """
    SELECT EXISTS (SELECT FROM ir_module WHERE name = 'project_invoice' AND state = 'activated')
       AND EXISTS (SELECT FROM res_user WHERE login = 'admin' AND password_hash IS NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class TrytonDatabase:
    """`url` names server, role and database; the role may create databases."""

    url: str

    @property
    def name(self) -> str:
        return unquote(urlsplit(self.url).path.lstrip("/"))

    @property
    def server(self) -> str:
        """The address without a database, as Tryton's configuration wants it."""
        return urlsplit(self.url)._replace(scheme="postgresql", path="/").geturl()

    def _connect(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.server, dbname=name, autocommit=True)

    def make(self) -> None:
        """Create the empty database unless it is there."""
        with self._connect(MAINTENANCE) as conn:
            if conn.execute("SELECT FROM pg_database WHERE datname = %s", [self.name]).fetchone() is None:
                command = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'"
                conn.execute(sql.SQL(command).format(sql.Identifier(self.name)))

    def is_ready(self) -> bool:
        """Whether Tryton's modules and its administrator are in."""
        with self._connect(self.name) as conn:
            return _truth(conn, TABLES) and _truth(conn, READY)

    def has_user(self, login: str) -> bool:
        """Of a database that is ready."""
        with self._connect(self.name) as conn:
            return _truth(conn, "SELECT EXISTS (SELECT FROM res_user WHERE login = %s)", login)


def _truth(conn: psycopg.Connection[tuple[object, ...]], query: LiteralString, *values: str) -> bool:
    row = conn.execute(query, values).fetchone()
    return row is not None and row[0] is True
