"""The parts of an image as CycloneDX 1.6: `sbom.py ENVIRONMENT DPKG_STATUS OUT`, where the tools of requirements/supply.txt are installed.

Python's packages and their licences as cyclonedx-py finds them in the environment, Debian's from dpkg's own list. Libraries that lie
inside Python's packages are not told apart: NOTICE names those that matter.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL


def python_parts(environment: Path) -> dict[str, Any]:
    """What cyclonedx-py says. The project itself is what all of it is for."""
    tool = Path(sys.executable).with_name("cyclonedx-py")
    options = ["--pyproject", "pyproject.toml", "--output-reproducible", "--spec-version", "1.6"]
    said = subprocess.run([tool, "environment", *options, environment / "bin" / "python"], check=True, capture_output=True)
    parts: dict[str, Any] = json.loads(said.stdout)
    return parts


def debian_parts(status: str, distribution: str) -> list[dict[str, Any]]:
    """A component for each package that is installed."""
    stanzas = [dict(re.findall(r"^([A-Z][\w-]*): (.*)$", stanza, re.MULTILINE)) for stanza in status.split("\n\n")]
    return [_component(one, distribution) for one in stanzas if one.get("Status") == "install ok installed"]


def _component(stanza: dict[str, str], distribution: str) -> dict[str, Any]:
    name, version = stanza["Package"], stanza["Version"]
    purl = PackageURL("deb", distribution, name, version, {"arch": stanza["Architecture"]}).to_string()
    return {"type": "library", "bom-ref": f"{distribution}:{name}", "name": name, "version": version, "purl": purl}


def distribution() -> str:
    """Of the base image: debian, ubuntu."""
    return re.findall(r"^ID=(\w+)$", Path("/etc/os-release").read_text(), re.MULTILINE)[0]


def main(environment: Path, status: Path, out: Path) -> None:
    parts = python_parts(environment)
    parts["components"] += debian_parts(status.read_text(), distribution())
    text = json.dumps(parts, indent=1, sort_keys=True)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise SystemExit(f"The list of parts breaks CycloneDX's schema: {wrong}")
    out.write_text(text + "\n")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
