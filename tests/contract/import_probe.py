"""Run by test_imports.py in a fresh Python: imports every module of a package and prints, as JSON, what they did besides.

Arguments: the folder the package is in, its name, and the libraries to load first (what those do as they load is not ours).
"""

import importlib
import json
import os
import sys
import threading
from pathlib import Path

STDLIB = os.path.dirname(os.__file__) + os.sep


class Probe:
    """Watches this process for what the files under `folder` do."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder, self.found = root, str(folder) + os.sep, set[str]()
        self.threads = set(threading.enumerate())

    def note(self, what: str) -> None:
        """Note it when the nearest frame that is neither the standard library's nor this file's is one of ours."""
        frame = sys._getframe(1)
        while frame and (name := frame.f_code.co_filename) and (name == __file__ or self._is_stdlib(name)):
            frame = frame.f_back
        if frame and name.startswith(self.folder):
            self.found.add(f"{Path(name).relative_to(self.root)} {what}")

    @staticmethod
    def _is_stdlib(name: str) -> bool:
        return name.startswith((STDLIB, "<")) and "site-packages" not in name

    def audit(self, event: str, args: tuple[object, ...]) -> None:
        if event == "open" and not str(args[0]).endswith(".py") and ".pyc" not in str(args[0]):
            self.note("opens a file")
        elif event in ("subprocess.Popen", "socket.connect"):
            self.note("reaches outside the process")

    def note_threads(self, path: Path) -> None:
        if set(threading.enumerate()) - self.threads:
            self.found.add(f"{path.relative_to(self.root)} starts a thread")
        self.threads |= set(threading.enumerate())


def watched(environment: dict[bytes, bytes], probe: Probe) -> dict[bytes, bytes]:
    class Watched(dict[bytes, bytes]):
        def __getitem__(self, key: bytes) -> bytes:
            probe.note("reads the environment")
            return super().__getitem__(key)

    return Watched(environment)


def main(root: Path, package: str, *libraries: str) -> None:
    sys.path.insert(0, str(root))
    for library in libraries:
        importlib.import_module(library)
    probe = Probe(root, root / package)
    os.environ._data = watched(os.environ._data, probe)
    sys.addaudithook(probe.audit)
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
        probe.note_threads(path)
    print(json.dumps({"found": sorted(probe.found), "modules": sorted(sys.modules)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
