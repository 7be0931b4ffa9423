"""A command that stands in a module of its own, which is imported when somebody asks for that command.

`tieline --help` and the other commands need not wait for it: name and line of help stand in the table of commands.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from typer._click.core import Command, Context


class Elsewhere(TyperCommand):
    """`place` is "module:attribute" within app.cli, a function or a group of commands."""

    def __init__(self, name: str, place: str, line: str, *, hidden: bool = False) -> None:
        super().__init__(name, help=line, hidden=hidden)
        self.place = place

    def make_context(
        self, info_name: str | None, args: list[str], parent: "Context | None" = None, **extra: Any
    ) -> "Context":
        """The command's own: from here on the stand-in is out of the way."""
        return self.loaded().make_context(info_name, args, parent, **extra)

    def loaded(self) -> "Command":
        """The command itself."""
        module, _, attribute = self.place.partition(":")
        found = getattr(import_module(f"app.cli.{module}"), attribute)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = self.name
            return group
        alone = typer.Typer(add_completion=False)
        alone.command(self.name)(found)
        return typer.main.get_command(alone)
