"""Fields that came in and that no schema here knows: by source and version, with who has looked at them."""

from collections.abc import Sequence
from functools import partial

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import marked
from pages.parts.governance import schemas
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.paging import Window
from sync_core.reads.schemas import Drift

_SHOWN = 60
_LOOKED_AT = 200  # those that can be acknowledged here


def draw(reads: Reads, commands: Commands | None) -> None:
    with frame.card(
        "drift", "New fields", "Fields of events that no schema here knows; they are kept with their events",
        definition="Looked for each minute in the events as they were sent. Told once to subscribers and to "
        "integration, as schema.drifted. Acknowledged: somebody knows what it means; it is counted on.",
    ):  # fmt: skip
        page = reads.schema_drift(Window(_LOOKED_AT))
        if not page.rows:
            frame.empty("No new field came in.", "Every field of every event is one that a schema here knows.")
            return
        waiting = [one for one in page.rows if one.acknowledged_at is None]
        if waiting and schemas.may(commands) and commands is not None:
            _acknowledge(waiting, commands)
        columns = ["Field", "Is", "Version", "Source", "Events", "First seen", "Last seen", "State"]
        marked("drift", columns, [_row(one) for one in page.rows[:_SHOWN]])
        if page.total > _SHOWN:
            st.caption(f"{_SHOWN} of {page.total_text}; `tieline schemas fields` lists more.")


def _row(one: Drift) -> list[str]:
    state = ":orange-badge[:material/visibility: Nobody has looked]"
    if one.acknowledged_at is not None:
        said = f"{one.acknowledged_by}: {one.acknowledged_as}"
        state = f":green-badge[:material/check_circle: Acknowledged] {fmt.plain(said)}"
    texts = [one.path, one.shape, one.type, one.source, fmt.count(one.events)]
    return [*map(fmt.plain, texts), fmt.moment(one.first_seen_at), fmt.moment(one.last_seen_at), state]


def _acknowledge(waiting: Sequence[Drift], commands: Commands) -> None:
    names = {one.drift_id: f"{one.path} ({one.type})" for one in waiting}
    with st.form("acknowledge", border=False):
        chosen = st.multiselect("Fields that are known now", list(names), format_func=lambda at: names[at])
        why = st.text_input("Reason", max_chars=2_000, placeholder="What it means, and who said so", key="drift_why")
        if not st.form_submit_button("Acknowledge", type="primary", icon=":material/check_circle:"):
            return
    do = partial(commands.schemas.acknowledge, frame.actor(), chosen, why)
    done, why_not = acting.attempt(do, "The acknowledgement")
    if done is None:
        acting.why_not(why_not)
    else:
        acting.finish(f"{fmt.plural(len(done.drift_ids), 'field')} acknowledged.")
