"""Texts that people give: kept as they are but for what no reader sees, refused when they are too long."""

import unicodedata

from sync_core.commands.desk import InvalidInput, reason_of

LONGEST_NAME, LONGEST_COMMENT = 200, 4_000

# They reorder or hide what stands beside them, in the page of whoever reads it.
_DIRECTION = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f")


def visible(text: str, *, lines: bool = False) -> str:
    """Without control and direction characters, half characters replaced; line ends and tabs stay with `lines`."""
    kept = [c if _plain(c, lines=lines) else "\ufffd" for c in text if c not in _DIRECTION]
    return "".join(kept)


def _plain(character: str, *, lines: bool) -> bool:
    return unicodedata.category(character) not in ("Cc", "Cs") or (lines and character in "\n\t")


def name(text: str, what: str) -> str:
    """One line: a person, a filter. Raises InvalidInput when it is empty or too long."""
    given = visible(" ".join(text.split()))
    if not given:
        raise InvalidInput(f"{what} is empty; give it")
    if len(given) > LONGEST_NAME:
        raise InvalidInput(f"{what} is longer than {LONGEST_NAME} characters; shorten it")
    return given


def person(text: str, what: str) -> str:
    """The e-mail address of one. Raises InvalidInput for what is none."""
    given = name(text, what)
    before, _, after = given.partition("@")
    if not before or not after or "@" in after or " " in given:
        raise InvalidInput(f"{what} {given[:40]!r} is no person's e-mail address; give one such as ada@example.com")
    return given


def value(text: str, what: str) -> str:
    """One line that may be empty: what a filter looks for. Raises InvalidInput when it is too long."""
    if len(text) > LONGEST_NAME:
        raise InvalidInput(f"{visible(what)[:40]} is longer than {LONGEST_NAME} characters; shorten it")
    return visible(text)


def comment(text: str) -> str:
    """Several lines. Raises InvalidInput when it is empty or too long."""
    given = visible(text.replace("\r\n", "\n").strip(), lines=True)
    if not given:
        raise InvalidInput("the comment is empty; write it")
    if len(given) > LONGEST_COMMENT:
        raise InvalidInput(f"the comment is longer than {LONGEST_COMMENT:,} characters; shorten it")
    return given


def reason(text: str) -> str:
    """Raises InvalidInput for one that says nothing or too much."""
    return visible(reason_of(text))
