"""A message to people in words: what came together is one message. Pure.

Counts and money by cause, the five largest, one link. Titles, names and reasons come from outside, and some services
would read marks in them as a mention, a link or a heading; so those are replaced.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from sync_core.delivery.notices import RESTORED, Note
from sync_core.estate.delivery import Word

_LARGEST, _MOST_LINES, _LONGEST = 5, 10, 80

_NAMES: Final[Mapping[Word, tuple[str, str]]] = {
    Word.LANE: ("ERP changed its state", "ERPs changed their state"),
    Word.SLO: ("objective broken", "objectives broken"),
    Word.QUARANTINE: ("event in quarantine", "events in quarantine"),
    Word.EXCEPTION: ("exception", "exceptions"),
    Word.OVERDUE: ("exception overdue", "exceptions overdue"),
    Word.AMENDMENT_LATE: ("amendment late for its bill run", "amendments late for their bill run"),
    Word.APPROVAL: ("approval", "approvals"),
    Word.RENEWAL: ("notice date is near", "notice dates are near"),
    Word.REPLAY: ("replay finished", "replays finished"),
    Word.ACTIVATED: ("contract billable", "contracts billable"),
    Word.SCHEMA: ("event version with new fields", "event versions with new fields"),
}
# What chat services and mail programs would read as something else; a link of ours is made from nothing of theirs.
_MARKS = str.maketrans(
    {"<": "‹", ">": "›", "@": "(at)", "`": "'", "*": "∗", "[": "(", "]": ")", "|": "¦", "#": "♯", "~": "-"}
)
_URL = re.compile(r"://|\bwww\.", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    title: str  # one line
    body: str


def compose(notes: Sequence[Note], *, base_url: str) -> Text:
    """One message about at least one note."""
    by_word = {word: [note for note in notes if note.word is word] for word in _NAMES}
    found = {word: those for word, those in by_word.items() if those}
    lines: list[str] = []
    for word, those in found.items():
        lines += [_headline(word, those), *_lines(word, those), ""]
    largest = _largest(notes)
    if len(notes) > 1 and largest:
        lines += ["Largest:", *(f"  {_of_contract(note)}, {amounts([note])}" for note in largest), ""]
    lines.append(_link(notes, base_url))
    return Text(_title(found), "\n".join(lines))


def _title(found: Mapping[Word, Sequence[Note]]) -> str:
    first, those = next(iter(found.items()))
    if first is Word.LANE and len(those) == 1 and len(found) == 1:
        return f"Tieline: {_lane(those[0])}"
    return "Tieline: " + ", ".join(_headline(word, notes) for word, notes in found.items())[:180]


def _headline(word: Word, notes: Sequence[Note]) -> str:
    one, many = _NAMES[word]
    money = amounts(notes)
    return f"{len(notes):,} {one if len(notes) == 1 else many}{f', {money}' if money else ''}"


def _lines(word: Word, notes: Sequence[Note]) -> list[str]:
    if word in (Word.EXCEPTION, Word.OVERDUE):
        return _causes(notes)
    shown = [f"  {_line(note)}" for note in notes[:_MOST_LINES]]
    more = len(notes) - len(shown)
    return [*shown, *([f"  and {more:,} more"] if more else [])]


def _causes(notes: Sequence[Note]) -> list[str]:
    groups: dict[tuple[str, str], list[Note]] = defaultdict(list)
    for note in notes:
        known = note.exception
        groups[plain(known.get("cause")), plain(note.function)].append(note)
    ordered = sorted(groups.items(), key=lambda group: (-_sum(group[1]), -len(group[1]), group[0]))
    lines = [
        f"  {len(those):,} x {_spaced(cause)}, with {_spaced(function)}, {amounts(those)}"
        for (cause, function), those in ordered[:_MOST_LINES]
    ]
    more = len(ordered) - len(lines)
    return [*lines, *([f"  and {more:,} more causes"] if more else [])]


def _line(note: Note) -> str:
    data = note.data
    if note.word is Word.LANE:
        return _lane(note)
    if note.word is Word.QUARANTINE:
        what = "a signature" if data.get("signature") else "an event"
        return f"{what} of {plain(data.get('contract_id') or 'an unknown contract')}: {plain(data.get('reason'), 200)}"
    if note.word is Word.SLO:
        return f"{plain((data.get('objective') or {}).get('title'), 120)}: {plain(data.get('says'), 240)}"
    if note.word is Word.SCHEMA:
        schema = data.get("schema") or {}
        return f"{plain(schema.get('type'))} of {plain(schema.get('source'))}: {plain(data.get('path'), 120)}"
    if note.word is Word.REPLAY:
        counts = ", ".join(f"{n:,} {_spaced(state)}" for state, n in (data.get("result") or {}).items() if n)
        return f"{_replay(data)}: {counts}"
    if note.word is Word.APPROVAL:
        return _approval(note)
    when = {
        Word.RENEWAL: f", notice by {plain(data.get('notice_by'))}{_renewing(data)}",
        Word.AMENDMENT_LATE: f", bill run {plain(data.get('bill_run'))[:10]}",
    }.get(note.word, f", project {plain(note.contract.get('project'))}")
    return f"{_of_contract(note)}{when}"


def _renewing(data: Mapping[str, Any]) -> str:
    if data.get("initiated"):
        return ", under way"
    return ", renews by itself unless it is declined" if data.get("automatic") else ""


def _lane(note: Note) -> str:
    lane = plain(note.data.get("lane"))
    if note.type == RESTORED:
        return f"ERP {lane} answers again; its contracts go on"
    waits = f"{int(note.data.get('waiting') or 0):,} contracts wait, none is lost"
    person = "somebody must act: " if note.data.get("needs_person") else ""
    return f"ERP {lane} is stopped, {person}{plain(note.data.get('reason'), 120)} ({waits})"


def _approval(note: Note) -> str:
    data = note.data
    about = _replay(data) if data.get("of") == "replay" else _of_contract(note)
    if data.get("decision"):
        return f"{about}: {plain(data['decision'])} by {plain(data.get('by'))}"
    return f"{about}: to be decided, {plain(data.get('why'), 160)}"


def _replay(data: Mapping[str, Any]) -> str:
    replay = data.get("replay") or {}
    return f"replay {replay.get('id')} {plain(replay.get('title'))}".rstrip()


def _of_contract(note: Note) -> str:
    contract = note.contract
    customer = (contract.get("customer") or {}).get("name")
    words = f"{plain(contract.get('id'))} {plain(customer)}"
    known = note.exception
    if known:
        words += f": {_spaced(plain(known.get('cause')))}"
        words += f", bills {plain(known['bill_on'])}" if known.get("bill_on") else ""
    return words


def _largest(notes: Iterable[Note]) -> list[Note]:
    risky = [n for n in notes if n.word in (Word.EXCEPTION, Word.OVERDUE, Word.AMENDMENT_LATE) and _sum([n])]
    seen: dict[str, Note] = {note.subject: note for note in risky}
    return sorted(seen.values(), key=lambda note: (-_sum([note]), note.seq))[:_LARGEST]


def _link(notes: Sequence[Note], base_url: str) -> str:
    if len(notes) == 1:
        return str((notes[0].data.get("links") or {}).get("page") or base_url)
    counts = Counter(note.word for note in notes)
    if counts[Word.EXCEPTION] or counts[Word.OVERDUE] or counts[Word.APPROVAL]:
        return f"{base_url}/exceptions"
    return f"{base_url}/exceptions?view=quarantine" if counts[Word.QUARANTINE] else f"{base_url}/"


# ---- money and texts -----------------------------------------------------------------------------------------


def amounts(notes: Iterable[Note]) -> str:
    """By currency, the largest first; exceptions in the reporting currency where there is a rate."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for note in notes:
        amount, currency = _money(note)
        if currency:
            sums[currency] += amount
    ordered = sorted(sums.items(), key=lambda one: (-one[1], one[0]))
    return " + ".join(f"{amount:,.2f} {plain(currency)}" for currency, amount in ordered)


def _sum(notes: Iterable[Note]) -> Decimal:
    return sum((_money(note)[0] for note in notes), Decimal())


def _money(note: Note) -> tuple[Decimal, str]:
    known = note.exception
    if known:
        given = known.get("exposure_reporting") or known.get("exposure")
    elif note.word in (Word.AMENDMENT_LATE, Word.RENEWAL, Word.ACTIVATED, Word.APPROVAL):
        given = note.contract.get("value")
    else:
        given = None
    if not given:
        return Decimal(), ""
    try:
        return Decimal(str(given.get("amount"))), str(given.get("currency") or "")
    except InvalidOperation:
        return Decimal(), ""


def plain(text: object, most: int = _LONGEST) -> str:
    """One line of what somebody wrote, without what a mail header or a chat service would act on."""
    whole = " ".join(str("" if text is None else text).split())
    visible = "".join(c for c in whole if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn"))
    harmless = _URL.sub(lambda found: found[0].replace("://", ": //").replace(".", ". "), visible.translate(_MARKS))
    return harmless if len(harmless) <= most else f"{harmless[: most - 1]}…"


def _spaced(name: str) -> str:
    return name.replace("_", " ")
