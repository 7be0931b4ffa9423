"""Writes that are refused at the same time: one looks whether a release came between, for all of them."""

import asyncio
from collections.abc import Sequence

import pytest

from sync_core.errors import ErpAnswerIncomplete, ErpRejected, ErpUnavailable, TielineError
from sync_core.lanes.answers_needed import Assurance
from sync_core.ports import CallContext
from tests.contracts.cases import context

GONE = ErpAnswerIncomplete("cloud", "its answers lack the field project.name")
REFUSED = ErpRejected("cloud", "unknown field title")


class Refusing:
    """An ERP that refuses every write. What each look sees is given, the last for good; none ends before all doubt."""

    def __init__(self, *seen: TielineError | None, writers: int) -> None:
        self.seen, self.looks, self.doubting, self.writers = seen, 0, 0, writers
        self.assurance = Assurance(self._look, seen="1", looked_at="1", known=True)
        self._all = asyncio.Event()

    async def _look(self, _ctx: CallContext) -> str | None:
        self.looks += 1
        await self._all.wait()
        if (wrong := self.seen[min(self.looks, len(self.seen)) - 1]) is not None:
            raise wrong
        return "2"

    async def _write(self) -> None:
        self.doubting += 1
        if self.doubting == self.writers:
            self._all.set()
        try:
            raise REFUSED
        except ErpRejected:
            await self.assurance.doubt(context())
            raise

    async def written(self) -> Sequence[BaseException | None]:
        """What all writers get."""
        writes = (self._write() for _ in range(self.writers))
        return await asyncio.gather(*writes, return_exceptions=True)


@pytest.mark.parametrize(("seen", "told"), [
    (GONE, GONE), (None, REFUSED), (ErpUnavailable("cloud", "away"), REFUSED),
], ids=["gone", "nothing lacks", "nobody could look"])  # fmt: skip
async def test_a_look_speaks_for_all_that_were_refused_before_it(seen: TielineError | None, told: TielineError) -> None:
    erp = Refusing(seen, writers=8)
    found = await erp.written()
    assert [(type(one), str(one)) for one in found] == [(type(told), str(told))] * 8
    assert erp.looks == 2, "the first one began before the others were refused"


async def test_a_later_refusal_looks_by_itself() -> None:
    """What lacked is there again: the finding of before is nobody's any more."""
    erp = Refusing(GONE, None, writers=1)
    assert [type(one) for one in await erp.written()] == [ErpAnswerIncomplete]
    assert [type(one) for one in await erp.written()] == [ErpRejected]
    assert erp.looks == 2
