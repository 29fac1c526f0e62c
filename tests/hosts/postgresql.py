"""A PostgreSQL of the tests' own: a data folder that is thrown away, a free port, nothing of the system's."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from tests.hosts.log import Log
from tests.ports import free_port

_READY = "ready to accept connections"
_START = 60.0


class Postgresql:
    """A server that is up; `stop` ends it and throws its data away."""

    def __init__(self, programs: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="flux-nodes-postgresql-"))
        self._port = free_port()
        self._names = (f"journal{number}" for number in count(1))
        self._user = _user()
        if self._user:
            shutil.chown(self._folder, self._user["user"], self._user["group"])
        data = str(self._folder / "data")
        initdb = [
            str(programs / "initdb"),
            "--pgdata",
            data,
            "--username=flux",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
        ]
        subprocess.run(initdb, cwd=self._folder, check=True, stdout=subprocess.DEVNULL, timeout=_START, **self._user)
        options = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        command = [str(programs / "postgres"), "-D", data, "-p", str(self._port)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, **self._user
        )
        assert self._process.stderr is not None
        self._log = Log(self._process.stderr)
        if not self._log.wait_for(_READY, within=_START):
            self.stop()
            raise RuntimeError(f"PostgreSQL did not start:\n{self._log.text()}")

    def new_database(self) -> str:
        """Make an empty database and give its name."""
        name = next(self._names)
        self.run(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str) -> str:
        """Give a database as FLUX_NODES_JOURNAL takes it."""
        return f"postgresql+psycopg://flux@127.0.0.1:{self._port}/{database}"

    def run(self, script: str, *, database: str = "postgres") -> None:
        """Run SQL without parameters."""
        where = {"host": "127.0.0.1", "port": str(self._port), "user": "flux", "dbname": database}
        with psycopg.connect(psycopg.conninfo.make_conninfo(**where), autocommit=True) as connection:
            connection.execute(script.encode())

    def stop(self) -> None:
        """End the server at once, and throw its data away."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=30)
        self._log.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _user() -> dict[str, Any]:
    """Give the user to run it as: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_name, "group": entry.pw_gid}
