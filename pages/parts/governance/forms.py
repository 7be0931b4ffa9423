"""The forms of the registry: register a version with a look ahead, withdraw one, check stored events."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import streamlit as st

from pages.kit import acting, frame
from pages.kit import format as fmt
from pages.kit.table import table
from sync_core.commands.commands import Commands
from sync_core.commands.schemas import Proposed, RegistrationPreview, SchemaRegistered
from sync_core.reads import Reads
from sync_core.reads.schemas import Registration
from sync_core.schemas.fit import compare, fit_words
from sync_core.schemas.registered import InvalidRegistration, parsed, validator_of
from sync_core.schemas.versions import stem

_LOOKED_AT: Final = 1_000  # stored events of one check
_SHOWN: Final = 12
_RENAMES_HINT: Final = (
    "One a line, their field = ours:\nterms.total = terms.value\nterms.lines[].sum = terms.lines[].amount"
)


def register(types: Sequence[str], reads: Reads, commands: Commands) -> None:
    st.markdown("Its events are read as a version that this release knows; what is named otherwise is renamed first.")
    with st.form("register_schema", border=False):
        name = st.selectbox("Version", list(types), key="register_type")
        known = sorted(one for one in reads.estate.versions if name and stem(one) == stem(name)) or ["none is known"]
        reads_as = st.selectbox("Read as", known, index=len(known) - 1, key="register_as")
        schema = st.text_area("JSON Schema", height=160, key="register_schema_text")
        renames = st.text_area("Renamed fields", height=90, placeholder=_RENAMES_HINT, key="register_renames")
        why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the audit", key="register_why")
        with st.container(horizontal=True, gap="small"):
            look = st.form_submit_button("Look ahead", icon=":material/visibility:")
            do = st.form_submit_button("Register", type="primary", icon=":material/add_circle:")
    if not (look or do):
        return
    proposed = Proposed(name or "", schema, reads_as or "", _pairs(renames))
    actor = frame.actor()
    if look:
        seen, why_not = acting.attempt(partial(commands.schemas.preview, actor, proposed), "The look ahead")
        acting.warn(why_not) if seen is None else _foreseen(seen)
        return
    done, why_not = acting.attempt(partial(commands.schemas.register, actor, proposed, why), "The registration")
    if done is None:
        acting.why_not(why_not)
    else:
        acting.finish(_told(done, proposed.type))


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """What is no pair is passed on as it is: the command says what is wrong with it."""
    lines = [line.partition("=") for line in text.splitlines() if line.strip()]
    return tuple((theirs.strip(), ours.strip()) for theirs, _, ours in lines)


def _foreseen(seen: RegistrationPreview) -> None:
    of = f"of {seen.looked_at:,} looked at, {seen.understood:,} would be released"
    told = f"{fmt.plural(seen.waiting, 'event')} wait for it; {of}."
    (st.success if seen.understood == seen.looked_at else st.warning)(fmt.plain(told))
    for one in seen.held:
        st.markdown(f"Event {one.quarantine_id} would stay: {fmt.plain(one.words)}")


def _told(done: SchemaRegistered, name: str) -> str:
    told = f"{name} is registered; {fmt.plural(len(done.released), 'event')} released."
    return f"{told} {len(done.held)} stayed: {acting.sentence(done.held[0].words)}" if done.held else told


def withdraw(found: Sequence[Registration], commands: Commands) -> None:
    st.markdown("Events of it are quarantined from then on. What was stored stays as it is.")
    numbers = {one.registration_id: one for one in found}
    with st.form("withdraw_schema", border=False):
        number = st.selectbox("Registration", list(numbers), format_func=lambda at: f"{at}: {numbers[at].type}")
        why = st.text_input("Reason", max_chars=2_000, placeholder="Kept in the audit", key="withdraw_why")
        if not st.form_submit_button("Withdraw", type="primary", icon=":material/undo:"):
            return
    one = numbers[number]
    do = partial(commands.schemas.withdraw, frame.actor(), number, why, version=one.version)
    done, why_not = acting.attempt(do, "The withdrawal")
    acting.why_not(why_not) if done is None else acting.finish(f"{one.type} is taken no more.")


def check(reads: Reads) -> None:
    names = sorted(reads.estate.versions)
    with st.form("check_schema", border=False):
        name = st.selectbox("Version whose stored events are looked at", names, key="check_type")
        schema = st.text_area("JSON Schema", height=120, key="check_schema_text",
                              placeholder="Leave it empty for this release's own of that version")  # fmt: skip
        if not st.form_submit_button("Check", icon=":material/rule:"):
            return
    before = reads.estate.versions[name].type.schema()
    try:
        after = parsed(schema) if schema.strip() else before
    except InvalidRegistration as wrong:
        acting.warn(acting.sentence(wrong.message))
        return
    found = reads.fits(name, validator_of(after), most=_LOOKED_AT)
    (st.success if found.fitting == found.seen else st.warning)(fmt.plain(fit_words(found)))
    if found.misfits:
        rows = [[one.path, fmt.count(one.events), one.examples[0], one.words] for one in found.first[:_SHOWN]]
        table("misfits", ["Field", "Events", "First", "Why not"], rows)
    differences = compare(before, after)
    if differences:
        rows = [[one.path, "breaks" if one.breaking else "adds", one.words] for one in differences[:_SHOWN]]
        table("differences", ["Field", "Effect", "What changes"], rows)
        if len(differences) > _SHOWN:
            st.caption(f"And {len(differences) - _SHOWN} more; `tieline schemas check` lists all of them.")
