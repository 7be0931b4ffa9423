"""Where questions are asked: each in a snapshot of its own, or several one after the other in one that they share."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from metrics.asking import Ask
from metrics.cells import Need, Told
from sync_core.reads.snapshot import snapshot


@dataclass(frozen=True, slots=True)
class Moment:
    """One snapshot, and what was told from it already."""

    conn: sa.Connection
    told: Told = field(default_factory=Told)


class Moments:
    """Safe for many threads, unless `shared`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @contextmanager
    def one(self) -> Iterator[Moment]:
        """The snapshot to read from."""
        with snapshot(self._engine) as conn:
            yield Moment(conn)

    def expect(self, ask: Ask, needs: Sequence[Need]) -> None:
        """Of questions that share no snapshot, nothing is read ahead."""

    def close(self) -> None:
        """Nothing stays open between questions."""

    def shared(self) -> "SharedMoment":
        """The first question opens it; the caller closes it."""
        return SharedMoment(self._engine)


class SharedMoment(Moments):
    """One snapshot for one thread. A question that fails ends it, for nothing can be read from it any more; the next
    question opens another, and brings nothing that others are expected to ask.
    """

    def __init__(self, engine: sa.Engine) -> None:
        super().__init__(engine)
        self._open = ExitStack()
        self._moment: Moment | None = None
        self._expected: list[tuple[Ask, Sequence[Need]]] = []

    def expect(self, ask: Ask, needs: Sequence[Need]) -> None:
        self._expected.append((ask, needs))

    @contextmanager
    def one(self) -> Iterator[Moment]:
        if self._moment is None:
            self._moment = Moment(self._open.enter_context(snapshot(self._engine)), Told(expected=self._expected))
        try:
            yield self._moment
        except sa.exc.SQLAlchemyError:
            self._expected = []  # from now on each question is alone: what failed may have been what was read ahead
            self.close()
            raise

    def close(self) -> None:
        """Of what is not open, nothing."""
        self._moment = None
        self._open.close()
