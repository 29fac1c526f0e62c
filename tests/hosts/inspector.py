"""The MCP Inspector, the protocol's own client for looking at servers, at the command line."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING, Any

from tests.hosts import places

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path


class InspectorError(Exception):
    """The Inspector ended with a status that was not expected; `said` is its account."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"the MCP Inspector ended with status {status}: {said}")
        self.status = status
        self.said = said


class Inspector:
    """Calls the Inspector, each time with a server that lives as long as the call."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def __call__(
        self,
        server: Sequence[str],
        *options: str,
        environment: Mapping[str, str] | None = None,
        statuses: Collection[int] = (0,),
        within: float = 60,
    ) -> Any:
        """Run one method and give the `result` that the server sent.

        `server` is a command to start, or one URL; `options` are the Inspector's: `"--method", "tools/list"`.
        A started server's environment holds PATH, HOME and the like, and what is given here.
        Status 5 says that a tool answered with an error, 6 that `--strict` found faults.
        """
        command = [
            str(places.NODE),
            str(places.INSPECTOR_CLI),
            "--cli",
            "--format",
            "json",
            "--quiet",
            *options,
        ]
        for name, value in (environment or {}).items():
            command += ["-e", f"{name}={value}"]
        done = self._run([*command, "--", *server], within)
        if done.returncode not in statuses:
            raise InspectorError(done.returncode, done.stderr + done.stdout)
        return json.loads(done.stdout)["result"]

    def _run(self, command: Sequence[str], within: float) -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(places.NODE.parent), os.environ.get("PATH", os.defpath)])
        return subprocess.run(
            command,
            cwd=places.ROOT,
            env={"PATH": path, "HOME": str(self._home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
