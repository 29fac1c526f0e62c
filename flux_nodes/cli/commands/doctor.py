"""`flux-nodes doctor`: what is right and what is wrong on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..exits import DONE, SERVICE
from ..options import json_option
from ..screen import Column, say, write_json, write_rows
from ..service import sandbox_option

if TYPE_CHECKING:
    from ..checkup import Finding

_COLUMNS = (Column("check"), Column("state"), Column("finding", wide=True))


@click.command()
@sandbox_option
@json_option
def doctor(*, sandbox: bool, as_json: bool) -> int:
    """Find out what is wrong here.

    Looks at everything that a generation needs; sends nothing that costs. The exit code is 0 when all is well, and
    3 when something is wrong.
    """
    from ..checkup import examine

    findings = examine(sandbox=sandbox)
    wrong = [finding for finding in findings if finding.state == "wrong"]
    if as_json:
        write_json({"ok": not wrong, "checks": [_document(finding) for finding in findings]})
    else:
        write_rows(_COLUMNS, [(finding.check, finding.state, finding.words) for finding in findings])
        say(f"Wrong: {', '.join(finding.check for finding in wrong)}." if wrong else "All is well.")
    return SERVICE if wrong else DONE


def _document(finding: Finding) -> dict[str, object]:
    return {"check": finding.check, "state": finding.state, "finding": finding.words}
