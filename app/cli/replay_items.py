"""The contracts of a replay on a terminal: the list, and one with its plan field by field."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer
from rich.table import Table

from app.cli.table import draw, table
from app.cli.work import Work, contracts_named, money, of_all, plain, print_json, print_page, text
from sync_core.commands.desk import NotFound

if TYPE_CHECKING:
    from sync_core.desired import Scalar
    from sync_core.reads.replay_items import ItemRow


def listed(one: Work, replay_id: int, states: Sequence[str], sort: str, limit: int, *, as_json: bool) -> None:
    """Raises typer.BadParameter for a state or a sorting that there is not."""
    from sync_core.reads.paging import Window
    from sync_core.reads.replay_items import ItemFilter, ItemSort
    from sync_core.replay.replay import ItemState

    for given, known, option in ((states, ItemState, "--state"), ([sort] if sort else [], ItemSort, "--sort")):
        if unknown := set(given) - set(known):
            raise typer.BadParameter(f"{unknown.pop()!r} is none of {', '.join(known)}", param_hint=option)
    wanted = ItemFilter(states=tuple(ItemState(state) for state in states))
    page = one.reads.replay_items(replay_id, wanted, sort=ItemSort(sort) if sort else None, window=Window(limit))
    if as_json:
        from app.api.replay_views import ItemView

        print_page(page, ItemView.model_validate)
        return
    draw(items_table(page.rows))
    of_all(page)


def items_table(rows: Sequence["ItemRow"]) -> Table:
    drawn = table("contract", "entity", "state", "would write", "money", "words")
    for row in rows:
        state = "stopped" if row.stopped and row.state == "pending" else row.state
        drawn.add_row(text(row.external_id), text(row.legal_entity), state, f"{row.writes}", money(row.money),
                      text(words_of(row)))  # fmt: skip
    return drawn


def words_of(row: "ItemRow") -> str:
    """Why it is stopped, or what came of it; and that it was refused before."""
    told = row.words or "; ".join(row.findings) or row.preview_why or row.eligibility_why
    if row.refused is None:
        return told
    at = f", {row.refused.at:%Y-%m-%d %H:%M}" if row.refused.at else ""
    what = f"was refused ({row.refused.error_class}{at})" if row.refused.error_class else f"said{at}"
    refused = f"its last run {what}: {row.refused.words}"
    return f"{told}; {refused}" if told else refused


def plan_of(one: Work, replay_id: int, name: str, *, as_json: bool) -> None:
    """Raises NotFound."""
    [contract_id] = contracts_named(one, [name])
    found = one.reads.replay_item(replay_id, contract_id)
    if found is None:
        raise NotFound(f"contract {plain(name)[:80]!r} is not in replay {replay_id}")
    if as_json:
        from app.api.replay_views import ItemDetailView

        print_json(ItemDetailView.model_validate(found))
        return
    if said := words_of(found.row):
        stopped = "stopped before any write: " if found.row.stopped else ""
        typer.echo(f"{plain(found.row.external_id)}: {stopped}{plain(said)}")
    drawn = table("what", "field", "before", "after")
    for effect in found.effects:
        for field, before, after in _fields(effect.before or {}, effect.after or {}):
            drawn.add_row(text(effect), text(field), text(before), text(after))
    draw(drawn)


def _fields(
    before: Mapping[str, "Scalar"], after: Mapping[str, "Scalar"]
) -> list[tuple[str, "Scalar | None", "Scalar | None"]]:
    names = [*after, *(name for name in before if name not in after)]
    return [(name, before.get(name), after.get(name)) for name in names] or [("", None, None)]
