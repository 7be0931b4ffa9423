"""JSON-RPC of a Tryton 8.2 server as a person's client speaks it: sessions, records, buttons, wizards.

Used to set a sandbox up and to look into it. Errors of the ERP come as HTTP 200 with an `error` list.
Source: trytond/protocols/jsonrpc.py and dispatcher.py of trytond 8.2.1, spoken to over HTTP only.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from types import TracebackType
from typing import TypeAlias, cast

import httpx

Value: TypeAlias = (
    "bool | int | float | str | Decimal | date | timedelta | Sequence[Value] | Mapping[str, Value] | None"
)
Row: TypeAlias = Mapping[str, Value]


class TrytonRpcError(RuntimeError):
    """The server answered a call with an error; `method` names the call, the message is the ERP's own."""

    def __init__(self, method: str, words: str) -> None:
        super().__init__(f"Tryton refused {method}: {words}")
        self.method, self.words = method, words

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.method, self.words)


class TrytonLoginError(TrytonRpcError):
    """The server is up and does not accept this login and password."""


def encode(value: Value) -> Value:
    """To wire types: Tryton takes money as Decimal only, a JSON float is refused in a numeric field."""
    if isinstance(value, Decimal):
        return {"__class__": "Decimal", "decimal": str(value)}
    if isinstance(value, timedelta):
        return {"__class__": "timedelta", "seconds": value.total_seconds()}
    if isinstance(value, date):
        return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}
    if isinstance(value, Mapping):
        return {name: encode(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [encode(item) for item in value]
    return value


def decode(value: Value) -> Value:
    """From wire types. A `datetime` stays as the mapping it came as: nothing here reads one."""
    if isinstance(value, Mapping):
        match value.get("__class__"):
            case "Decimal":
                return Decimal(str(value["decimal"]))
            case "timedelta":
                return timedelta(seconds=float(str(value["seconds"])))
            case "date":
                return date(*(int(str(value[part])) for part in ("year", "month", "day")))
        return {name: decode(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [decode(item) for item in value]
    return value


def new(*rows: Row) -> Value:
    """The command that creates `rows` inside a field that holds many records."""
    return ["create", list(rows)]


@dataclass(frozen=True, slots=True)
class Wizard:
    """One run of a server-side wizard: its state lives in the ERP between the steps."""

    rpc: "TrytonRpc"
    name: str
    session: int

    def step(self, state: str, forms: Mapping[str, Row]) -> None:
        self.rpc.call(f"wizard.{self.name}.execute", self.session, forms, state)

    def end(self) -> None:
        self.rpc.call(f"wizard.{self.name}.delete", self.session)


class TrytonRpc(AbstractContextManager["TrytonRpc"]):
    """A logged-in session. `context` goes with every call; its `company` decides what company fields mean."""

    def __init__(self, base_url: str, database: str, *, login: str, password: str, timeout_s: float = 60) -> None:
        self._http = httpx.Client(base_url=f"{base_url}/{database}/", timeout=timeout_s, trust_env=False)
        self.context: dict[str, Value] = {}
        try:
            user_id, token = cast("list[Value]", self._post("common.db.login", [login, {"password": password}]))[:2]
            session = base64.b64encode(f"{login}:{user_id}:{token}".encode()).decode()
            self._http.headers["Authorization"] = f"Session {session}"
            self.reload_context()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._http.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reload_context(self) -> None:
        """Read the user's preferences again: its company changes when a company wizard has run."""
        self.context = dict(cast("Row", self._post("model.res.user.get_preferences", [True, {}])))

    def _post(self, method: str, params: Sequence[Value]) -> Value:
        answer = self._http.post("rpc/", json={"id": 1, "method": method, "params": encode(params)})
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise TrytonLoginError(method, "login, password or session is not accepted")
        if answer.status_code != httpx.codes.OK:
            raise TrytonRpcError(method, f"HTTP {answer.status_code}")
        body = answer.json()
        if "error" in body:
            raise TrytonRpcError(method, " / ".join(str(part) for part in body["error"] if part))
        return decode(body["result"])

    def call(self, method: str, *args: Value) -> Value:
        return self._post(method, [*args, self.context])

    def rows(
        self, model: str, domain: Sequence[Value], fields: Sequence[str] = (), limit: int | None = None
    ) -> list[Row]:
        """Matching records, oldest first, each with `id` and the asked fields."""
        order = [["id", "ASC"]]
        return cast("list[Row]", self.call(f"model.{model}.search_read", domain, 0, limit, order, ["id", *fields]))

    def find(self, model: str, domain: Sequence[Value]) -> int | None:
        """The id of the oldest match."""
        found = self.rows(model, domain, limit=1)
        return cast("int", found[0]["id"]) if found else None

    def create(self, model: str, values: Row) -> int:
        return cast("list[int]", self.call(f"model.{model}.create", [values]))[0]

    def ensure(self, model: str, domain: Sequence[Value], values: Row) -> int:
        """Find by `domain`, else create. Not safe against a second caller: a set-up has only one."""
        found = self.find(model, domain)
        return found if found is not None else self.create(model, values)

    def write(self, model: str, ids: Sequence[int], values: Row) -> None:
        self.call(f"model.{model}.write", ids, values)

    def wizard(self, name: str) -> Wizard:
        session = cast("list[Value]", self.call(f"wizard.{name}.create"))[0]
        return Wizard(self, name, cast("int", session))
