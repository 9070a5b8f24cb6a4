"""The command line: finds the verbs by their files' names and turns a UserError into plain words and exit code 2.

A verb's file holds a function of its name; whatever is heavy is imported inside that function.
"""

from __future__ import annotations

import sys

import typer

from allaprima.core.catalog import Catalog
from allaprima.core.errors import UserError


def build() -> typer.Typer:
    """The application with every verb of this folder."""
    app = typer.Typer(
        help="Your own pictures in, a live generator out.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # rich costs a third of the start-up time
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    verbs = Catalog("command", __package__)
    for name in verbs.names():
        app.command(name)(getattr(verbs.get(name), name))
    # Typer runs a lone verb without its name; a callback keeps `allaprima VERB` true however many there are.
    app.callback()(lambda: None)
    return app


def main() -> None:
    """Entry point of the ``allaprima`` command."""
    try:
        build()()
    except UserError as error:
        print(f"allaprima: {error.problem}\n  → {error.remedy}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader of our output went away, as in `allaprima … | head`
        sys.stderr.close()
        sys.exit(0)
