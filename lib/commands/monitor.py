"""Commands of which a monitor of the Nagios kind reads the exit status: there 2 says critical, not misspelt."""

from typing import Any

import typer
from typer.core import TyperCommand

UNKNOWN = 3

_USAGE_ERROR: Any = typer.BadParameter.__base__  # Typer has no public name for what all its refusals are


class MonitorCommand(TyperCommand):
    """A command that ends with UNKNOWN where its options cannot be used."""

    def make_context(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401  nor for its contexts
        try:
            return super().make_context(*arguments, **named)
        except _USAGE_ERROR as error:
            error.exit_code = UNKNOWN
            raise
