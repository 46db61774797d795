"""A real PostgreSQL: a cluster in a temporary folder, on a free loopback port, run as the unprivileged user that it insists on."""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.orthanc import free_port

NOT_HERE = "PostgreSQL is not installed (Debian: postgresql)"


def programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`; Debian keeps a folder a version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@dataclass(slots=True)
class Postgres:
    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"postgresql://seashore@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Again after `stop`: with what it knew."""
        data = self.folder / "cluster"
        if not data.exists():
            self._create(data)
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c max_connections=200"
        self._run("pg_ctl", "-D", str(data), "-l", str(data / "log"), "-w", "-o", options, "start")

    def _create(self, data: Path) -> None:
        data.mkdir()
        if os.getuid() == 0:
            for path in (self.folder, data):
                shutil.chown(path, "postgres", "postgres")
        self._run("initdb", "-D", str(data), "-U", "seashore", "--auth=trust", "--no-sync")

    def stop(self) -> None:
        """As a crash: nothing is finished first."""
        self._run("pg_ctl", "-D", str(self.folder / "cluster"), "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        folder = programs()
        assert folder is not None, NOT_HERE
        user = pwd.getpwnam("postgres").pw_uid if os.getuid() == 0 else None
        if user is not None:
            self._open_the_way()
        subprocess.run([folder / program, *arguments], check=True, stdout=subprocess.DEVNULL, user=user, cwd="/", timeout=120)

    def _open_the_way(self) -> None:
        """pytest's folders are closed to others, and every pytest that starts closes them again."""
        for path in self.folder.parents:
            if path != Path("/") and path.owner() == "root" and path.is_relative_to("/tmp"):
                path.chmod(path.stat().st_mode | 0o011)
