"""How a replay goes, on a terminal: its totals, and watching it until it is over."""

import time
from typing import TYPE_CHECKING, Final

import typer
from rich.table import Table

from app.cli.refusals import Exit, Refusal
from app.cli.replay_items import words_of
from app.cli.table import draw, table
from app.cli.work import money, plain, text
from sync_core.commands.desk import NotFound

if TYPE_CHECKING:
    from sync_core.reads.reads import Reads
    from sync_core.reads.replays import ReplayDetail

_EVERY_S: Final = 0.5
_STOPPED_SHOWN: Final = 20


def found(reads: "Reads", replay_id: int) -> "ReplayDetail":
    """Raises NotFound."""
    one = reads.replay(replay_id)
    if one is None:
        raise NotFound(f"there is no replay {replay_id}; `tieline replay list` lists them")
    return one


def told(reads: "Reads", one: "ReplayDetail") -> None:
    """Its totals, and the first contracts that it cannot carry out, each with its reason."""
    from sync_core.reads.paging import Window
    from sync_core.reads.replay_items import ItemFilter

    draw(totals_of(one))
    if not one.totals.stopped:
        return
    page = reads.replay_items(one.replay.replay_id, ItemFilter(stopped=True), window=Window(_STOPPED_SHOWN))
    typer.echo(f"\nstopped, so they cannot be carried out; {len(page.rows):,} of {page.total_text}:")
    for row in page.rows:
        typer.echo(f"  {plain(row.external_id)}  {money(row.money)}  {plain(words_of(row))}")


def totals_of(one: "ReplayDetail") -> Table:
    """What it would change, or has."""
    row, totals = one.replay, one.totals
    drawn = table("", "")
    drawn.show_header = False
    effects = ("creates", "updates", "activates", "closes", "no_ops", "conflicts")
    named = {name.replace("_", "-"): getattr(totals, name) for name in effects}
    told = ", ".join(f"{count:,} {name}" for name, count in named.items() if count)
    states = ", ".join(f"{count:,} {state}" for state, count in totals.states.items() if count)
    for name, value in (
        ("replay", f"{row.replay_id} {row.title}"), ("state", row.state.replace("_", " ")),
        ("made by", f"{row.created_by}, {row.created_at:%Y-%m-%d %H:%M}"), ("contracts", states or "none"),
        ("in the ERP", told or "nothing"), ("money", money(totals.money.money)), ("stopped", _stopped(one)),
        ("without a rate", ", ".join(money(part.total) for part in totals.money.unconverted)),
        ("must be approved", row.approval_why), ("a minute", f"{row.per_minute:,}"),
    ):  # fmt: skip
        if value:
            drawn.add_row(name, text(value))
    return drawn


def _stopped(one: "ReplayDetail") -> str:
    """Their preview found what stops them: nothing of them is in the lines above."""
    totals = one.totals
    if not totals.stopped:
        return ""
    parts = [money(totals.stopped_money.money), *(money(part.total) for part in totals.stopped_money.unconverted)]
    worth = " and ".join(part for part in parts if part)
    return f"{totals.stopped:,} ({worth}), which cannot be carried out"


def previewed(reads: "Reads", replay_id: int) -> "ReplayDetail":
    """Waits for the workers' preview."""
    from sync_core.replay.replay import PreviewState, ReplayState

    said = ""
    while (one := found(reads, replay_id)).replay.state is ReplayState.PREVIEWING:
        said = _say(f"{one.totals.previews[PreviewState.PENDING]:,} are still to be previewed", said)
        time.sleep(_EVERY_S)
    return one


def follow(reads: "Reads", replay_id: int) -> None:
    """Until it is over. Raises Refusal unless every contract is verified or had nothing to do; and for one that nobody
    confirmed, which would never end.
    """
    from sync_core.replay.replay import ReplayState

    said = ""
    while True:
        one = found(reads, replay_id)
        said = _say(_line(one), said)
        if one.replay.state is ReplayState.PREVIEWED:
            raise Refusal(
                f"Replay {replay_id} is not confirmed, nothing would happen: `tieline replay confirm {replay_id}`.",
                Exit.NOT_VERIFIED,
            )
        if one.replay.state.over and one.totals.ended == one.totals.items:
            break
        time.sleep(_EVERY_S)
    if left := _left(reads, replay_id, one):
        raise Refusal(
            f"Replay {replay_id} is over, and {left:,} contracts are not verified: "
            f"`tieline replay items {replay_id}` says why.", Exit.NOT_VERIFIED,
        )  # fmt: skip


def _line(one: "ReplayDetail") -> str:
    states = ", ".join(f"{count:,} {state}" for state, count in one.totals.states.items() if count)
    return f"{one.replay.state.replace('_', ' ')}: {states}"


def _say(line: str, before: str) -> str:
    """A line for each change, so that a log file reads well too."""
    if line != before:
        typer.echo(line)
    return line


def _left(reads: "Reads", replay_id: int, one: "ReplayDetail") -> int:
    """Contracts that are neither verified nor left out for a reason that leaves nothing to do; many are not counted."""
    from sync_core.reads.replay_items import ItemFilter
    from sync_core.replay.replay import ItemState, PreviewState, Skip

    def skipped(skip: Skip, *, writes: bool | None = None, preview: PreviewState | None = None) -> int:
        return reads.replay_items(replay_id, ItemFilter((ItemState.SKIPPED,), None, preview, skip, "", writes)).total

    fine = (ItemState.VERIFIED, ItemState.SKIPPED)
    left = sum(count for state, count in one.totals.states.items() if state not in fine)
    # Another replay does a superseded one; where that has nothing to write, nothing is left to do.
    left += skipped(Skip.SUPERSEDED) - skipped(Skip.SUPERSEDED, writes=False, preview=PreviewState.DONE)
    harmless = (Skip.NOT_CHOSEN, Skip.SUPERSEDED)
    return left + sum(skipped(skip) for skip in Skip if skip not in harmless)
