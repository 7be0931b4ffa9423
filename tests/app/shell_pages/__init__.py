"""Pages for tests of the shell: the numbers are made up, the parts are those of the product."""

from dataclasses import dataclass

from sync_core.authority import Actor


@dataclass(frozen=True, slots=True)
class NamedReads:
    """What the shell hands to a page, and to whom it was limited."""

    text: str

    def within(self, actor: Actor) -> "NamedReads":
        return NamedReads(f"{self.text} within {actor.roles or 'nothing'}")

    def __str__(self) -> str:
        return self.text
