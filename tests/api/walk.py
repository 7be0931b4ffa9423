"""Test only: a program on its way through the routes; each answer is held against the published schema."""

from dataclasses import dataclass
from typing import Any

import httpx

from tests.api.door import Door, if_match, key
from tests.engine.governed import Desk


@dataclass
class Walk:
    door: Door
    desk: Desk
    program: httpx.AsyncClient
    used: int = 0

    async def get(self, address: str) -> Any:
        answer = await self.program.get(address)
        assert answer.status_code == 200, (address, answer.text)
        return answer.json()

    async def tag(self, address: str) -> str:
        return str((await self.program.get(address)).headers["etag"])

    async def send(self, address: str, body: object = None, *, tag: str | None = None, status: int = 200) -> Any:
        self.used += 1
        headers = {**key(f"walk-{self.used}"), **(if_match(tag) if tag else {})}
        answer = await self.program.post(address, json=body, headers=headers)
        assert answer.status_code == status, (address, answer.text)
        return answer.json()
