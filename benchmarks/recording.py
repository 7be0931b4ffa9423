"""The HTTP calls of a contract, recorded where the connector makes them and sent again as they were.

Both go through ErpHttp. Two calls belong to one stage when the second began before the first had ended; the calls
of a stage are sent again at the same time. All that a replay puts in is the project's number in the path, because
the ERP gives another one to a contract that comes in another order.
"""

import asyncio
from collections import defaultdict
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import orjson

from sync_core.connectors.answers import Json, Response
from sync_core.connectors.http import OK, ErpHttp, Params
from sync_core.ports import CallContext

_PROJECT = "{project}"


@dataclass(slots=True)
class Call:
    operation: str
    method: str
    path: str
    write: bool
    json: Json
    params: Params | None


Stages = list[list[Call]]


@dataclass(slots=True)
class Recording:
    """Stages by contract (the call's correlation id)."""

    stages: dict[str, Stages] = field(default_factory=lambda: defaultdict(list))
    running: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    projects: dict[str, str] = field(default_factory=dict)

    def begun(self, contract: str, call: Call) -> None:
        if not self.running[contract]:
            self.stages[contract].append([])
        self.stages[contract][-1].append(call)
        self.running[contract] += 1

    def save(self, path: Path) -> None:
        plain = {contract: [[asdict(c) for c in stage] for stage in stages] for contract, stages in self.stages.items()}
        path.write_bytes(orjson.dumps(plain))


def load(paths: list[Path]) -> dict[str, Stages]:
    found: dict[str, Stages] = {}
    for path in paths:
        for contract, stages in orjson.loads(path.read_bytes()).items():
            found[contract] = [[Call(**call) for call in stage] for stage in stages]
    return found


class RecordingHttp(ErpHttp):
    """Notes what it is asked to call. `recording` is set by its maker."""

    recording: Recording

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        ctx: CallContext,
        write: bool,
        json: Json = None,
        data: Mapping[str, str] | None = None,
        content: bytes | None = None,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        ok: Container[int] = OK,
        authenticate: bool = True,
    ) -> Response:
        contract, known = ctx.correlation_id, self.recording
        noted = authenticate  # a token is nobody's in particular
        if noted:
            project = known.projects.get(contract)
            general = path.replace(project, _PROJECT) if project else path
            known.begun(contract, Call(operation, method, general, write, json, params))
        try:
            answer = await super().call(
                operation, method, path, ctx=ctx, write=write, json=json, data=data, params=params,
                headers=headers, ok=ok, authenticate=authenticate,
            )  # fmt: skip
        finally:
            if noted:
                known.running[contract] -= 1
        if operation.startswith("project.") and (number := _number(answer)):
            known.projects[contract] = number
        return answer


async def replay(stages: Stages, http: ErpHttp, ctx: CallContext) -> str:
    """Send the calls of one contract; the number that the ERP gave its project."""
    project = ""
    for stage in stages:
        answers = await asyncio.gather(*(_send(call, project, http, ctx) for call in stage))
        for call, answer in zip(stage, answers, strict=True):
            if call.operation.startswith("project."):
                project = _number(answer) or project
    return project


async def _send(call: Call, project: str, http: ErpHttp, ctx: CallContext) -> Response:
    path = call.path.replace(_PROJECT, project)
    return await http.call(
        call.operation, call.method, path, ctx=ctx, write=call.write, json=call.json, params=call.params
    )


def _number(answer: Response) -> str | None:
    number = answer.body.get("id") if isinstance(answer.body, dict) else None
    return number if isinstance(number, str) else None
