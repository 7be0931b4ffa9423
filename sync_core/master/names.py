"""When two customers' names are so alike that a person must say whether they are one. Pure.

Spelling, accents, punctuation and legal forms do not tell customers apart; numbers in a name do. `similar` is a ratio
of matching blocks (difflib), on the names as they stand and with their words in order of the alphabet, because "Mutual
Harbour" is how some systems file "Harbour Mutual".
"""

import re
import unicodedata
from difflib import SequenceMatcher
from typing import Final

ALIKE: Final = 0.86  # tried on the demo's firms: no two of them reach it, one slip in a name of two words does
_WORD: Final = re.compile(r"[0-9a-z]+")
_NUMBER: Final = re.compile(r"[0-9]+")
# Letters that have no decomposition.
_PLAIN: Final = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ł": "l", "ð": "d", "þ": "th"})
_FORM_WORDS: Final = (
    "ab ag aps as asa bv co company corp corporation gmbh inc incorporated kg kk limited llc llp lp ltd ltda mbh nv oy "
    "oyj pc plc pllc pte pty sa sarl sas se spa srl the and und et y"
)
_FORMS: Final = frozenset(_FORM_WORDS.split())


def folded(name: str) -> str:
    """For comparison: plain lower-case words without legal forms; all of them where a name has nothing else."""
    spelt = unicodedata.normalize("NFKD", name.casefold().translate(_PLAIN).replace(".", ""))
    words = _WORD.findall("".join(char for char in spelt if not unicodedata.combining(char)))
    kept = [word for word in words if word not in _FORMS]
    return " ".join(kept or words)


def similar(one: str, other: str) -> float:
    """From 0 to 1, of folded names; the order of the two makes no difference."""
    if not one or not other or sorted(_NUMBER.findall(one)) != sorted(_NUMBER.findall(other)):
        return 0.0
    return max(_ratio(one, other), _ratio(*(" ".join(sorted(name.split())) for name in (one, other))))


def _ratio(one: str, other: str) -> float:
    first, second = sorted((one, other))  # difflib's answer depends on the order of the two
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def alike(one: str, country: str | None, other: str, other_country: str | None) -> bool:
    """Folded names. A country that is not known rules nothing out."""
    same_place = country is None or other_country is None or country.upper() == other_country.upper()
    return same_place and similar(one, other) >= ALIKE


def tax_key(tax_id: str | None) -> str | None:
    """A tax number as it is compared: without blanks, dots and dashes."""
    key = "".join(_WORD.findall((tax_id or "").casefold()))
    return key or None
