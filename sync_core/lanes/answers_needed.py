"""What a connector needs of its ERP's answers: declared by it, asked of the ERP, and the lane waits until it is there.

An ERP that is upgraded may rename or drop a field. A connector that finds out in the middle of a contract has written
half of one; so it looks before its first write, and again before the next one whenever the ERP's release has changed.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

from sync_core.errors import ErpAnswerIncomplete, TielineError
from sync_core.ports import CallContext

log = logging.getLogger(__name__)

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Needs:
    """`api`: versions of the ERP's interface that will do, any one of them; `fields`: by record, in the ERP's words.
    `optional`: likewise, what an older ERP need not have.
    """

    api: tuple[str, ...]
    fields: Mapping[str, Collection[str]]
    optional: Mapping[str, Collection[str]] = field(default_factory=dict)

    def listed(self) -> dict[str, list[str]]:
        return {record: sorted(names) for record, names in {**self.fields, **self.optional}.items()}

    def without(self, held: Mapping[str, Collection[str]]) -> tuple[str, ...]:
        """Optional records of which the ERP does not offer all."""
        return tuple(sorted(name for name, fields in self.optional.items() if set(fields) - set(held.get(name, ()))))


@runtime_checkable
class DeclaresNeeds(Protocol):
    """An ERP connector that can ask its ERP what its answers hold; one that cannot leaves it out."""

    name: str

    @property
    def needs(self) -> Needs: ...

    async def check(self, ctx: CallContext) -> str | None:
        """What it does without, in words; None: nothing. Raises ErpAnswerIncomplete that names the field or the
        version, and the other Erp* errors.
        """
        ...


def lacking(needs: Needs, api: Collection[str], fields: Mapping[str, Collection[str]]) -> str | None:
    """What of it an ERP does not offer, in words; None: it offers all. Pure."""
    if not set(needs.api) & set(api):
        offered = ", ".join(sorted(api)) or "none"
        return f"version {' or '.join(needs.api)} of its interface (it offers {offered})"
    gone = [
        f"{record}.{name}"
        for record, names in sorted(needs.fields.items())
        for name in sorted(set(names) - set(fields.get(record, ())))
    ]
    if not gone:
        return None
    more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
    return f"the field{'s' if len(gone) > 1 else ''} {', '.join(gone[:_SHOWN])}{more}"


def require(system: str, needs: Needs, api: Collection[str], fields: Mapping[str, Collection[str]]) -> None:
    """Raises ErpAnswerIncomplete that says what to do."""
    if (what := lacking(needs, api, fields)) is not None:
        words = "put back the release of before, or say the new name in the estate file, and the lane goes on by itself"
        raise ErpAnswerIncomplete(system, f"its answers lack {what}; {words}")


@dataclass(slots=True)
class Assurance:
    """Before a write: was the release that answers now looked at? One task looks; the others wait for it."""

    look: Callable[[CallContext], Awaitable[str | None]]  # raises ErpAnswerIncomplete; the release that answered
    seen: str | None = None  # the release of the newest answer
    looked_at: str | None = None
    known: bool = False
    looks: int = 0
    found: ErpAnswerIncomplete | None = None  # what was lacking at the last look
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def sure(self, ctx: CallContext) -> None:
        """Raises what `look` raises."""
        if self.known and self.seen == self.looked_at:
            return
        async with self._alone:
            if not self.known or self.seen != self.looked_at:
                await self.look_again(ctx)

    async def look_again(self, ctx: CallContext) -> None:
        self.known, self.found = False, None
        self.looks += 1
        try:
            self.seen = self.looked_at = await self.look(ctx)
        except ErpAnswerIncomplete as lacks:
            self.found = lacks
            raise
        self.known = True

    async def doubt(self, ctx: CallContext) -> None:
        """After a refusal that may be of a release that came between: of several at the same time one looks, for all.

        Raises ErpAnswerIncomplete where something is lacking: no contract is at fault then. If the look itself fails,
        nothing is known but that the write was refused; the next write looks first.
        """
        looks = self.looks
        try:
            async with self._alone:
                if looks == self.looks:
                    await self.look_again(ctx)
                elif self.found is not None:
                    raise ErpAnswerIncomplete(self.found.system, self.found.words)
        except ErpAnswerIncomplete:
            raise
        except TielineError as wrong:
            log.info("after a refused write nobody could look what is lacking: %s", wrong)
