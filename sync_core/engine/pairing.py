"""The parts of many projects of an ERP, read side by side; the lane's slots say how many calls there are at once.

What was read is kept: of a contract whose parts cannot be read it is said that they were not, and the others stand. An
ERP that is away is not asked for the rest.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sync_core.desired import Found
from sync_core.errors import ErpRateLimited, TielineError
from sync_core.moving.adoption import Adoption, Result, Wanted, with_parts
from sync_core.ports import CallContext, ListsProjects

_AT_ONCE: Final = 32  # more than an ERP has slots: the others wait for one
_IN_A_ROW: Final = 20  # failures without an answer in between
_WAITS: Final = 5  # for one contract, as often as the ERP asks for it


@dataclass(slots=True)
class Pairing:
    """One look at all of them. `chosen`: by contract, its project, or what is said without one."""

    connector: ListsProjects
    chosen: Mapping[int, Found | Adoption]
    ctx: CallContext
    failed: int = 0
    last: str = ""
    done: dict[int, Adoption] = field(default_factory=dict)

    async def all_of(self, wanted: Sequence[Wanted]) -> list[Adoption]:
        """One for each contract, in their order. Raises what is no error of the ERP's."""
        left = iter(wanted)
        askers = [asyncio.create_task(self._work(left)) for _ in range(min(_AT_ONCE, len(wanted)))]
        try:
            await asyncio.gather(*askers)
        finally:
            for asker in askers:
                asker.cancel()
        return [self.done[one.contract_id] for one in wanted]

    async def _work(self, left: Iterator[Wanted]) -> None:
        for one in left:
            said = self.chosen[one.contract_id]
            self.done[one.contract_id] = await self._paired(one, said) if isinstance(said, Found) else said

    async def _paired(self, one: Wanted, project: Found) -> Adoption:
        if self.failed >= _IN_A_ROW:
            return _unread(one, project, self.last)
        try:
            found = with_parts(one, project, await self._parts(project))
        except TielineError as wrong:
            self.failed, self.last = self.failed + 1, wrong.message
            return _unread(one, project, wrong.message)
        self.failed = 0
        return found

    async def _parts(self, project: Found) -> Sequence[Found]:
        for _ in range(_WAITS):
            try:
                return await self._asked(project)
            except ErpRateLimited as wrong:
                await asyncio.sleep(wrong.retry_after_s)
        return await self._asked(project)

    async def _asked(self, project: Found) -> Sequence[Found]:
        # The calls of one contract are nobody's to keep: of all of them they would fill the memory.
        return await self.connector.parts(project, replace(self.ctx, calls=[]))


def _unread(one: Wanted, project: Found, why: str) -> Adoption:
    words = f"the parts of project {project.ref} could not be read: {why}"
    return Adoption(one.contract_id, one.name, one.desired.lane, Result.UNREAD, words)
