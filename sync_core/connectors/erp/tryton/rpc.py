"""Records of Tryton over JSON-RPC: search-and-read, create, write, delete. Each write is one transaction."""

from asyncio import TaskGroup
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sync_core.connectors.answers import Json, Response, Row, Unexplained
from sync_core.connectors.erp.tryton.session import PATH, Login
from sync_core.connectors.erp.tryton.wire import Value, Values, encode
from sync_core.connectors.http import ErpHttp
from sync_core.errors import ErpAmbiguous, ErpAnswerIncomplete
from sync_core.lanes.answers_needed import Assurance
from sync_core.ports import CallContext

Domain = Sequence[Value]
_BY_ID = ["id", "ASC"]


class Rpc:
    """Calls with the session's context. `company` decides what company-dependent fields mean."""

    def __init__(self, http: ErpHttp, login: Login) -> None:
        self.system = http.system
        self.login = login
        self.assurance: Assurance | None = None  # looked at before each write
        self._http = http

    async def rows(
        self,
        operation: str,
        model: str,
        domain: Domain,
        fields: Sequence[str],
        ctx: CallContext,
        *,
        company: int | None = None,
        limit: int | None = None,
        order: Sequence[Value] = (_BY_ID,),
    ) -> list[Row]:
        """Matching records, oldest first unless told otherwise, each with `id`. Dotted fields are read along."""
        params: list[Value] = [domain, 0, limit, order, ["id", *fields]]
        found = await self._call(operation, f"model.{model}.search_read", params, ctx, company=company)
        if not isinstance(found, list):
            raise ErpAnswerIncomplete(
                self.system, f"answered {operation} without records; compare its version with 8.2"
            )
        return [Row.of(self.system, row) for row in found]

    async def ask(self, operation: str, method: str, params: Sequence[Value], ctx: CallContext) -> Json:
        """A read that is no search."""
        return await self._call(operation, method, params, ctx)

    async def count(self, operation: str, model: str, domain: Domain, ctx: CallContext) -> None:
        await self._call(operation, f"model.{model}.search_count", [domain], ctx)

    async def create(
        self, operation: str, model: str, rows: Sequence[Values], ctx: CallContext, *, company: int | None = None
    ) -> list[int]:
        """The ids, in the order of `rows`."""
        made = await self._call(operation, f"model.{model}.create", [list(rows)], ctx, company=company, write=True)
        ids = [item for item in made if isinstance(item, int)] if isinstance(made, list) else []
        if len(ids) != len(rows):
            raise ErpAmbiguous(self.system, f"{operation} did not say what it made; look the records up by their keys")
        return ids

    async def write(
        self, operation: str, model: str, changes: Sequence[tuple[Sequence[int], Values]], ctx: CallContext, *,
        unless_newer_than: Values | None = None,
    ) -> None:  # fmt: skip
        """Several changes in one transaction. `unless_newer_than`: Tryton's stamps of records as they were read."""
        params: list[Value] = []
        for ids, values in changes:
            params += [list(ids), values]
        await self._call(
            operation, f"model.{model}.write", params, ctx, write=True, extra={"_timestamp": unless_newer_than or {}}
        )

    async def delete(self, operation: str, model: str, ids: Sequence[int], ctx: CallContext) -> None:
        await self._call(operation, f"model.{model}.delete", [list(ids)], ctx, write=True)

    async def _call(
        self,
        operation: str,
        method: str,
        params: Sequence[Value],
        ctx: CallContext,
        *,
        company: int | None = None,
        write: bool = False,
        extra: Values | None = None,
    ) -> Json:
        session = await self.login.session(ctx)
        context = {**session.context, **({"company": company} if company is not None else {}), **(extra or {})}
        body = encode({"id": 0, "method": method, "params": [*params, context]})
        answer = await (self._written if write else self._read)(operation, body, ctx)
        row = Row.of(self.system, answer.body, write=write)
        if "result" not in row.fields:
            error = ErpAmbiguous if write else ErpAnswerIncomplete
            raise error(self.system, f"answered {operation} without a result; compare its version with 8.2")
        return row.fields["result"]

    async def _read(self, operation: str, body: Json, ctx: CallContext) -> Response:
        return await self._http.call(operation, "POST", PATH, ctx=ctx, write=False, json=body)

    async def _written(self, operation: str, body: Json, ctx: CallContext) -> Response:
        """A release that came between fails on what it does not know, which is no fault of the contract. A refusal in
        words for people is definite.
        """
        if self.assurance is None:
            return await self._http.call(operation, "POST", PATH, ctx=ctx, write=True, json=body)
        await self.assurance.sure(ctx)
        try:
            return await self._http.call(operation, "POST", PATH, ctx=ctx, write=True, json=body)
        except Unexplained:
            await self.assurance.doubt(ctx)
            raise

    async def aclose(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def side_by_side() -> AsyncIterator[TaskGroup]:
    """Reads at the same time; the first one that fails ends the others and is raised as itself."""
    try:
        async with TaskGroup() as group:
            yield group
    except ExceptionGroup as several:
        raise several.exceptions[0] from several
