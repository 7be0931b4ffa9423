"""An estate file with more of everything: what an overlay holds is appended to what the file lists.

The text is what a worker records as the estate's version, so texts are joined, not what was read from them.
"""

import tomllib

from sync_core.errors import InvalidEstate


def merged(estate: str, overlay: str) -> str:
    """Both texts as one. Raises InvalidEstate for an overlay with anything but `[[tables]]`.

    A single key or `[table]` would end up inside the last table of the estate, or give it twice.
    """
    try:
        single = sorted(name for name, value in tomllib.loads(overlay).items() if not _is_tables(value))
    except tomllib.TOMLDecodeError as wrong:
        raise InvalidEstate(f"the overlay of the estate is no valid TOML: {wrong}") from wrong
    if single:
        raise InvalidEstate(f"an overlay of the estate adds [[tables]] only; take out {', '.join(single)}")
    return f"{estate.rstrip()}\n\n{overlay.lstrip()}"


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
