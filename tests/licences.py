"""The licences of what serves, from the packages' own metadata: `python -m tests.licences` writes docs/licences.md."""

from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

from tests.locks import FOLDER, pins

PAGE = FOLDER.parent / "docs" / "licences.md"
NVIDIA = "NVIDIA's own (proprietary)"
STATED = {"dicomweb-client": "MIT", "protobuf": "BSD-3-Clause", "reportlab": "BSD-3-Clause", "shellingham": "ISC"}
"""Where the metadata gives no name for it, as read in the package's licence file."""
NAMES = {"MIT License": "MIT", "Apache 2.0": "Apache-2.0", "Apache Software License": "Apache-2.0"}
HEAD = """# Licences of what serves

Every Python package of `requirements/run.txt` and, after them, what `run-gpu.txt` has in the place of `onnxruntime`, as the packages
themselves say it (`python -m tests.licences` writes this page). Their licence texts lie in their `*.dist-info` folders, in the image too.
What lies inside some of them (FFmpeg, libx264, libpq, OpenBLAS) is in [NOTICE](../NOTICE). Debian's packages of an image, and all of
these, are in its list of parts, `/opt/seashore/sbom.cdx.json` (CycloneDX); licences of Debian's: `/usr/share/doc/*/copyright`.

| Package | Version | Licence |
|---|---|---|
"""


def page() -> str:
    """As it should stand in docs/."""
    run, gpu = pins("run"), pins("run-gpu")
    rows = [f"| {name} | {version} | {licence(metadata(name), version)} |" for name, version in sorted(run.items())]
    rows += [f"| {name} (GPU) | {version} | {_on_gpu(name)} |" for name, version in sorted(gpu.items()) if name not in run]
    return HEAD + "\n".join(rows) + "\n"


def licence(about: PackageMetadata, version: str) -> str:
    """SPDX where the package says it so. Fails where it says nothing, or another version than the lock's is installed."""
    name = about["Name"]
    assert about["Version"] == version, f"{name} {about['Version']} is installed, the lock has {version}"
    classified = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier", []) if line.startswith("License :: ")]
    told = STATED.get(name) or about["License-Expression"] or about["License"] or " AND ".join(classified)
    assert told, f"{name} says nothing of its licence"
    return NAMES.get(told, told)


def _on_gpu(name: str) -> str:
    """Those are not installed where this runs."""
    assert name.startswith(("nvidia-", "onnxruntime-gpu")), f"say the licence of {name}"
    return NVIDIA if name.startswith("nvidia-") else "MIT"


def main(path: Path = PAGE) -> None:
    path.write_text(page())
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
