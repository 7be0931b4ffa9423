"""A write that Tryton does not take: its own words are the answer, and it is looked at only where it says none."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import httpx
import orjson
import pytest

from sync_core.clock import SystemClock
from sync_core.connectors import discovery
from sync_core.connectors.erp.tryton.needed import NEEDS
from sync_core.desired import Kind
from sync_core.errors import ErpAnswerIncomplete, ErpRejected
from sync_core.estate.estate import Erp
from sync_core.keys import BusinessKey, ErpRef
from sync_core.ports import ListsProjects
from tests.contracts.cases import Lane, context

REFUSED: list[object] = ["UserError", ["Work is locked.", "Unlock it.", None]]
FAILED: list[object] = ["'revenue'", "traceback"]


@dataclass
class Server:
    """Answers as Tryton does; `error` is what it says to a write."""

    error: list[object]
    gone: str = ""  # a model whose fields a release took away
    down: bool = False  # nothing but writes is answered
    asked: Counter[str] = field(default_factory=Counter)

    def connector(self) -> ListsProjects:
        erp = Erp(name="books", kind="tryton", url="http://erp/db", user="u")
        transport = httpx.MockTransport(self.handle)
        made = discovery.erp("tryton")(erp, secret="s", gate=Lane(), clock=SystemClock(), transport=transport)
        assert isinstance(made, ListsProjects)
        return made

    def handle(self, request: httpx.Request) -> httpx.Response:
        method = str(orjson.loads(request.content)["method"])
        self.asked[method.rpartition(".")[2]] += 1
        if method.endswith(".write"):
            self.down = self.down or "down" in self.gone
            return httpx.Response(200, json={"id": 0, "error": self.error})
        if self.down:
            return httpx.Response(502, text="bad gateway")
        return httpx.Response(200, json={"id": 0, "result": self.result(method)})

    def result(self, method: str) -> object:
        model = method.removeprefix("model.").rpartition(".")[0]
        match method.rpartition(".")[2]:
            case "login":
                return [1, "token"]
            case "get_preferences":
                return {}
            case "fields_get":
                left = model == self.gone and self.asked["write"]
                return {} if left else {name: {} for name in NEEDS.fields[model]}
            case _ if model == "ir.module":
                return [{"id": 1, "version": "8.2.0"}]
        return [{"id": 7, "comment": None, "_timestamp": "1"}]


async def write(connector: ListsProjects) -> None:
    await connector.relabel(Kind.PROJECT, ErpRef("7"), BusinessKey("clm/C-1"), context())


async def test_what_it_refused_in_its_own_words_is_the_answer_and_nothing_else_is_asked() -> None:
    server = Server(REFUSED)
    connector = server.connector()
    with pytest.raises(ErpRejected, match=r"Work is locked\. Unlock it\."):
        await write(connector)
    assert server.asked["fields_get"] == len(NEEDS.fields), "before the first write"
    with pytest.raises(ErpRejected):
        await write(connector)
    assert server.asked["fields_get"] == len(NEEDS.fields)


async def test_a_failure_without_words_is_told_from_a_release_that_came_between() -> None:
    with pytest.raises(ErpRejected, match="failed on this record: 'revenue'"):
        await write(Server(FAILED).connector())
    with pytest.raises(ErpAnswerIncomplete, match=r"timesheet\.line\.invoice_line"):
        await write(Server(FAILED, gone="timesheet.line").connector())


async def test_where_nobody_can_look_the_failure_stays_the_answer() -> None:
    with pytest.raises(ErpRejected, match="failed on this record: 'revenue'"):
        await write(Server(FAILED, gone="down").connector())


async def test_of_several_that_fail_at_once_one_looks() -> None:
    server = Server(FAILED)
    connector = server.connector()
    with pytest.raises(ErpRejected):
        await write(connector)
    before = server.asked["fields_get"]
    ends = await asyncio.gather(*(write(connector) for _ in range(4)), return_exceptions=True)
    assert [type(end).__name__ for end in ends] == ["Unexplained"] * 4
    assert server.asked["fields_get"] - before <= 2 * len(NEEDS.fields)
