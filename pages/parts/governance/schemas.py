"""The registry of event versions: state, owner, who sends each; what waits for a schema; registrations; a check."""

from functools import partial
from typing import Final

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import marked, table
from pages.kit.words import words
from pages.parts.governance import forms
from sync_core.authority import Permission
from sync_core.commands.commands import Commands
from sync_core.reads import Reads
from sync_core.reads.paging import Window
from sync_core.reads.schemas import Client, Registration, SchemaVersion, UnknownVersion
from sync_core.schemas.versions import STANDARD, State

_STATES: Final = {
    State.ACTIVE: ":green-badge[:material/check_circle: Active]",
    State.DEPRECATED: ":orange-badge[:material/hourglass_bottom: Deprecated]",
    State.REMOVED: ":gray-badge[:material/block: Removed]",
}
_SHOWN: Final = 100
_REGISTERED: Final = ":blue-badge[:material/bolt: Registered]"


def headline(reads: Reads) -> str:
    """What needs somebody first."""
    waiting, drift = reads.unknown_versions(), reads.schema_unseen()
    going = [one for one in reads.schema_versions() if one.state is State.DEPRECATED]
    told = []
    if waiting:
        events = sum(one.events for one in waiting)
        told.append(f"**{fmt.plural(events, 'event')}** of versions that nobody knows wait for a schema")
    if drift:
        told.append(f"**{fmt.plural(drift, 'new field')}** came in that nobody has looked at")
    senders = {client.source for one in going for client in one.clients if client.lately and not client.own}
    if senders:
        send = "sends" if len(senders) == 1 else "send"
        told.append(f"**{fmt.plural(len(senders), 'client')}** still {send} a deprecated version")
    sentence = "; ".join(told)
    return f"{sentence}." if sentence else "Every event that comes in is of a version that is known and in use."


def draw(reads: Reads, commands: Commands | None) -> None:
    with frame.contained("Versions that nobody knows"):
        _waiting(reads, commands)
    with frame.card(
        "versions", "Versions of events", "What CLMs may send, and what came of each in 30 days and in all",
        definition="Deprecated: taken as before, and each answer says so in its headers "
        "Deprecation, Sunset and Link. Removed: quarantined. Counted each minute from the events themselves.",
    ):  # fmt: skip
        st.caption(f"How events are named: {fmt.plain(STANDARD)}.")
        rows = [_version(one) for one in sorted(reads.schema_versions(), key=_first)]
        marked(
            "versions", ["Version", "State", "Owner", "Since", "Until at least", "30 days", "In all", "Sent by"], rows
        )
    with frame.contained("Registrations"):
        _registrations(reads, commands)
    with frame.card(
        "check", "Check a schema", "Would the stored events of a version fit another one, and what would break?",
        definition="The newest events as they were sent, held against the schema; and the schema against that of the "
        "version, field by field. Nothing is written.",
    ):  # fmt: skip
        if may(commands):
            forms.check(reads)
        else:
            st.caption(":material/lock: An administrator with reach over all legal entities may hold stored events "
                       "against a schema.")  # fmt: skip


def _first(one: SchemaVersion) -> tuple[bool, int, str]:
    """What is on its way out, then what is used most."""
    return one.state is not State.DEPRECATED, -one.lately, one.name


def _version(one: SchemaVersion) -> list[str]:
    state = _REGISTERED if one.registered else _STATES[one.state]
    until = one.removed_on or one.sunset_on
    follows = f" Send {fmt.plain(one.successor)}." if one.successor and one.state is not State.ACTIVE else ""
    senders = ", ".join(_client(client) for client in one.clients) or "nobody yet"
    return [
        f"**{fmt.plain(one.name)}** {fmt.plain(one.summary)}{follows}", state, fmt.plain(words(one.owner)),
        fmt.plain(one.since), f"{until:%-d %b %Y}" if until else "", fmt.count(one.lately), fmt.count(one.events),
        senders,
    ]  # fmt: skip


def _client(one: Client) -> str:
    way = f"our own {one.received_by}" if one.own else one.received_by
    return f"{fmt.plain(one.source)} by {fmt.plain(way)} ({fmt.count(one.lately)})"


def may(commands: Commands | None) -> bool:
    """Whether to offer a change: a schema is of the whole firm."""
    needed = Permission.SCHEMAS_WRITE
    return commands is not None and frame.may(needed) and frame.actor().entities(needed) is None


def _waiting(reads: Reads, commands: Commands | None) -> None:
    found = reads.unknown_versions()
    if not found:
        return
    with frame.card(
        "unknown", "Waiting for a schema", "Versions that nobody knows; their events are kept whole in quarantine",
        definition="Registered with its JSON Schema and with the names that differ, a version is read as one that this "
        "release knows, and what waits is released. What means something else needs a new release.",
    ):  # fmt: skip
        rows = [
            [one.type, fmt.count(one.events), fmt.count(one.signatures), fmt.moment(one.oldest_at)] for one in found
        ]
        table("unknown", ["Version", "Events", "Signatures", "Oldest"], rows)
        frame.link("exceptions", "Look at them in quarantine", view="quarantine")
        if may(commands) and commands is not None:
            _register(found, reads, commands)
        else:
            st.caption(":material/lock: An administrator may register a version.")


def _register(found: tuple[UnknownVersion, ...], reads: Reads, commands: Commands) -> None:
    st.button("Register a version…", icon=":material/add_circle:", key="open_register", on_click=acting.open_dialog,
              args=("register",))  # fmt: skip
    body = partial(forms.register, [one.type for one in found], reads, commands)
    acting.dialog("register", "Register a version", body, icon=":material/add_circle:")


def _registrations(reads: Reads, commands: Commands | None) -> None:
    page = reads.schema_registrations(Window(_SHOWN))
    if not page.rows:
        return
    with frame.card(
        "registrations", "Registered versions", "Read as a version of this release, until one knows them itself"
    ):
        columns = ["Number", "Version", "Read as", "Renamed", "Registered by", "State", "Why"]
        table("registrations", columns, [_registration(one) for one in page.rows])
        if page.total > len(page.rows):
            st.caption(f"{fmt.count(len(page.rows))} of {page.total_text}: those in force first, then the newest.")
        in_force = [one for one in page.rows if one.withdrawn_at is None]
        if in_force and may(commands) and commands is not None:
            st.button("Withdraw one…", icon=":material/undo:", key="open_withdraw", on_click=acting.open_dialog,
                      args=("withdraw",))  # fmt: skip
            body = partial(forms.withdraw, in_force, commands)
            acting.dialog("withdraw", "Withdraw a registration", body, icon=":material/undo:")


def _registration(one: Registration) -> list[str]:
    renamed = ", ".join(f"{theirs} → {ours}" for theirs, ours in one.renames)
    state = f"withdrawn by {one.withdrawn_by}" if one.withdrawn_at else "in force"
    return [
        str(one.registration_id),
        one.type,
        one.reads_as,
        renamed or "nothing",
        one.registered_by,
        state,
        one.reason,
    ]
