"""What `tieline up` tells the person who started it: a line for each step, and at last the link."""

from rich.console import Console


class Progress:
    """Lines on stdout: coloured on a terminal, plain elsewhere. The link is never wrapped, so it can be copied."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, words: str) -> None:
        self._line("·", words, "dim")

    def done(self, words: str) -> None:
        self._line("✓", words, "green")

    def note(self, words: str) -> None:
        self._line("!", words, "yellow")

    def finish(self, link: str) -> None:
        self._line("✓", f"Tieline runs. Open {link} (works once, for an hour; `tieline link` prints another)", "bold")

    def finish_at(self, url: str) -> None:
        self._line("✓", f"Tieline runs. Open {url} and sign in", "bold")

    def _line(self, mark: str, words: str, style: str) -> None:
        shown = mark if self._console.encoding.lower().startswith("utf") else "-"
        self._console.print(f"{shown} {words}", style=style, markup=False, highlight=False, soft_wrap=True)
        self._console.file.flush()
