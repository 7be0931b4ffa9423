"""`tieline status`: what it finds out and how it is shown."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from app.cli.begin import wiring_of
from app.cli.table import draw as draw_table
from app.cli.table import table
from app.settings import masked
from app.wiring import Wiring
from sync_core.journal.progress import State
from sync_core.reads.reads import Reads

# The circuit breaker's own words read the other way round: a closed one lets calls through.
_BREAKER = {"closed": "reachable", "open": "down", "paused": "paused, a person must act"}


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for programs.")] = False,
) -> None:
    """Show how many contracts are in which state, what waits, and what runs."""
    shown = read(wiring_of("status"))
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
    else:
        draw(shown, Console())


def read(wiring: Wiring) -> dict[str, object]:
    """Plain values. Each state's count stands under `states` and at the top, where a script finds it fastest."""
    now = Reads(wiring.engine(read_only=True), clock=wiring.clock, estate=wiring.estate).status()
    known = now.as_json()
    states = {state.value: now.by_state[state] for state in State}
    return {
        "states": states,
        **states,
        "oldest_waiting_s": now.oldest_waiting_age_s,
        "lanes": known["lanes"],
        "workers": now.workers_alive,
        "quarantine": now.quarantine_open,
        "versions": dict(now.versions),
        "database": masked(wiring.urls.app),
        "now": now.now.isoformat(),
    }


def draw(shown: dict[str, object], console: Console) -> None:
    """For a person."""
    drawn = table("", "")
    drawn.show_header = False
    states, lanes, versions = shown["states"], shown["lanes"], shown["versions"]
    if isinstance(states, dict):
        for state, count in states.items():
            drawn.add_row(str(state).replace("_", " "), f"{count}")
    oldest = shown["oldest_waiting_s"]
    drawn.add_row("oldest waiting", "none" if oldest is None else f"{float(str(oldest)) / 60:.1f} min")
    drawn.add_row("in quarantine", str(shown["quarantine"]))
    drawn.add_row("workers", str(shown["workers"]))
    if isinstance(lanes, list):
        for lane in lanes:
            why = escape(f" ({lane['reason']})") if lane["reason"] else ""
            slots = f"{lane['slots_used']} of {lane['slots_total']} slots, {lane['waiting']} waiting"
            drawn.add_row(f"ERP {lane['lane']}", f"{_BREAKER.get(lane['breaker'], lane['breaker'])}{why}, {slots}")
    drawn.add_row("database", str(shown["database"]))
    if isinstance(versions, dict):
        drawn.add_row("release", f"{versions['tieline']}, PostgreSQL {versions['postgresql']}")
    draw_table(drawn, console)
