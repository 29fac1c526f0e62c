"""The command group: what can be typed, and how every command ends."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from ..core.errors import FluxNodesError
from .commands import COMMANDS
from .complaint import complain, complain_of, error_document
from .exits import BAD_INPUT, DONE, FAILED, Interrupted, exit_code
from .screen import OutputLost, abandon_output, prepare_streams, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Wishes:
    """What the raw arguments ask of every command; known even when they cannot be parsed."""

    as_json: bool
    sandbox: bool

    @classmethod
    def of(cls, arguments: Sequence[str]) -> Wishes:
        """Read them from the arguments before `--`."""
        until = arguments.index("--") if "--" in arguments else len(arguments)
        return cls(as_json="--json" in arguments[:until], sandbox="--sandbox" in arguments[:until])


class Door(click.Group):
    """A group whose commands return their exit code, and that turns every error into words and a code."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command line and end the process with its exit code."""
        del standalone_mode, prog_name
        prepare_streams()
        wishes = Wishes.of(sys.argv[1:] if args is None else args)
        options = {"windows_expand_args": windows_expand_args, "obj": wishes, **extra}
        try:
            try:
                code = super().main(args, "flux-nodes", complete_var, standalone_mode=False, **options)
            except click.ClickException as error:
                code = _misused(error, wishes)
            except (click.Abort, KeyboardInterrupt):
                code = _ended(Interrupted(()), wishes)
            sys.stdout.flush()
        except OutputLost as lost:
            code = _without_output(lost)
        sys.exit(code or DONE)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; errors of ours become words here."""
        return _answered(super().invoke, ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands in sections, in the order in which a person meets them."""
        del ctx
        width = max(map(len, self.commands))
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                room = formatter.width - width - 6
                formatter.write_dl(
                    [(f"{command.name:{width}}", command.get_short_help_str(room)) for command in commands]
                )


def _answered(invoke: Any, ctx: click.Context) -> Any:
    try:
        return invoke(ctx)
    except (FluxNodesError, Interrupted) as error:
        return _ended(error, ctx.obj)
    except KeyboardInterrupt:
        return _ended(Interrupted(()), ctx.obj)


def _ended(error: FluxNodesError | Interrupted, wishes: Wishes) -> int:
    if wishes.as_json:
        write_json({"error": error_document(error)})
    complain_of([error], on_sandbox=wishes.sandbox)
    return exit_code(error)


def _without_output(lost: OutputLost) -> int:
    abandon_output()
    if lost.unread:
        return DONE
    complain(str(lost))
    return FAILED


def _misused(error: click.ClickException, wishes: Wishes) -> int:
    if wishes.as_json:
        write_json({"error": error_document(error, error.format_message())})
    error.show()
    return error.exit_code if error.exit_code != 1 else BAD_INPUT


@click.group(cls=Door, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="flux-nodes")
def door() -> None:
    """Generate FLUX images through APIFRAME.

    Without a key, add --sandbox: the service is pretended on this machine, and nothing is paid.
    """


for _section in COMMANDS.values():
    for _command in _section:
        door.add_command(_command)
