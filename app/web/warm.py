"""What a long-lived process does once, so that no visitor waits for it."""

import gc

from app.dashboard import discover


def warm(package: str) -> None:
    """Load the pages, and take all that is there for good out of the garbage collector's rounds.

    The libraries' 190,000 objects are never garbage; a full round over them takes 120 ms, in the middle of a page.
    """
    discover(package)
    gc.collect()
    gc.freeze()
