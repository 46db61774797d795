"""The image built for real without Docker: debootstrap makes the base, `buildah bud --isolation chroot` does what the Dockerfile says.

Needs root, buildah and debootstrap, Debian's mirror and pip's index. The base is kept in ~/.cache/seashore-image, the rest is not.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SUITE, MIRROR = "bookworm", "http://deb.debian.org/debian"
NOT_HERE = "the image cannot be built here: that needs root, buildah and debootstrap"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
"""This machine's. A proxy that this machine is told to trust is to be trusted by pip in the build too."""


def is_possible() -> bool:
    return os.geteuid() == 0 and all(shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin") for tool in ("buildah", "debootstrap"))


@dataclass(frozen=True, slots=True)
class Store:
    """Where buildah keeps images: a folder of ours, so that nothing of this machine's is touched."""

    folder: Path

    def buildah(self, *arguments: str | Path) -> str:
        """What it said on its standard output; all it said is in the folder's log."""
        at = ("--root", self.folder / "root", "--runroot", self.folder / "run", "--storage-driver", "vfs")
        with (self.folder / "log").open("ab") as log:
            run = subprocess.run(["buildah", *at, *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        assert run.returncode == 0, (self.folder / "log").read_text(errors="replace")[-3000:]
        return run.stdout.strip()

    def add_base(self) -> str:
        """The name of an image that is a bare Debian."""
        container = self.buildah("from", "scratch")
        self.buildah("add", "--quiet", container, debian(), "/")
        self.buildah("commit", "--quiet", "--rm", container, "seashore-base")
        return "localhost/seashore-base"

    def build(self, target: str, base: str, tag: str = "", **arguments: str) -> str:
        """The image's name. `arguments` are the Dockerfile's."""
        (self.folder / "pip.conf").write_text("[global]\ncert = /run/authorities.crt\n")
        volumes = {AUTHORITIES: "/run/authorities.crt", self.folder / "pip.conf": "/etc/pip.conf"}
        lent = [word for here, there in volumes.items() for word in ("--volume", f"{here}:{there}:ro")]
        chosen = [word for name, value in {"BASE": base, **arguments}.items() for word in ("--build-arg", f"{name}={value}")]
        name = f"seashore:{tag or target}"
        how = ("--isolation", "chroot", "--network", "host", "--format", "docker", "--quiet")
        self.buildah("bud", *how, *lent, *chosen, "--target", target, "--tag", name, ROOT)
        return f"localhost/{name}"

    def config(self, image: str) -> dict[str, Any]:
        """What the image says of how it is to be run."""
        about: dict[str, Any] = json.loads(self.buildah("inspect", "--type", "image", image))["Docker"]["config"]
        return about

    @contextmanager
    def mounted(self, image: str) -> Iterator[Path]:
        """The image's files, as a container starts with them."""
        container = self.buildah("from", "--pull-never", image)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


@contextmanager
def new_store(folder: Path) -> Iterator[Store]:
    """Gone afterwards: vfs copies every layer whole."""
    folder.mkdir(parents=True)
    try:
        yield Store(folder)
    finally:
        shutil.rmtree(folder)


def debian() -> Path:
    """A bare Debian, made once a week. Its documentation and its downloads are left out, as in Debian's own slim images."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seashore-image"
    base = cache / SUITE
    if base.exists() and time.time() - base.stat().st_mtime < 7 * 24 * 3600:
        return base
    shutil.rmtree(base, ignore_errors=True)
    draft = cache / f".{SUITE}-{os.getpid()}"
    environment: Mapping[str, str] = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"}
    cache.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(["debootstrap", "--variant=minbase", SUITE, draft, MIRROR], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-2000:]
    slim(draft)
    draft.rename(base)
    os.utime(base)
    return base


def slim(base: Path) -> None:
    for folder in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/man", "usr/share/info", "usr/share/locale"):
        shutil.rmtree(base / folder, ignore_errors=True)
    (base / "var/cache/apt/archives/partial").mkdir(parents=True)
    (base / "var/lib/apt/lists").mkdir(parents=True)
    for path in (base / "usr/share/doc").rglob("*"):
        if path.is_file() and path.name != "copyright":
            path.unlink()


def mebibytes(folder: Path) -> float:
    """Of its files, as they lie on a disk."""
    said = subprocess.run(["du", "--summarize", "--block-size=1", folder], check=True, capture_output=True, text=True)
    return int(said.stdout.split()[0]) / 2**20
