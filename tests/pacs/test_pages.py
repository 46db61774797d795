"""What docs/ says of the PACS: the tables are the code's, and the guide's set-up is run as it stands there."""

import json
import re
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.pacs.site_file import load_site
from tests import conformance_tables
from tests.fakes import dcmtk
from tests.fakes import orthanc as real_archive
from tests.fakes.hospital import Seashore, clip_file, store, uid_of
from tests.fakes.orthanc import Orthanc

DOCS = Path(__file__).resolve().parents[2] / "docs"


def block(language: str) -> str:
    """The guide's only block of this language, as it stands there, without its indent."""
    (found,) = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", (DOCS / "pacs.md").read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    indent, text = found
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def test_the_conformance_statements_tables_are_the_codes() -> None:
    page = conformance_tables.PAGE.read_text(encoding="utf-8")

    assert conformance_tables.with_tables(page) == page, "run `python -m tests.conformance_tables`"


def test_a_table_that_has_drifted_is_seen() -> None:
    page = conformance_tables.PAGE.read_text(encoding="utf-8")

    assert conformance_tables.with_tables(page.replace("`lung-sliding`", "`lung-slide`")) == page


def test_the_guides_site_file_is_valid(tmp_path: Path) -> None:
    (tmp_path / "pacs.toml").write_text(block("toml"))

    assert load_site(tmp_path / "pacs.toml").destination[0].name == "archive"


@pytest.fixture
def routed(tmp_path: Path) -> Iterator[tuple[Orthanc, Seashore]]:
    """Orthanc and Seashore with the guide's files; only ports and folders are this machine's."""
    if not real_archive.is_installed() or dcmtk.program("storescu") is None:
        pytest.skip(real_archive.NOT_HERE)
    lua, options = tmp_path / "route.lua", json.loads(block("json"))
    lua.write_text(block("lua"))
    (tmp_path / "orthanc").mkdir()
    site = tomllib.loads(block("toml"))
    archive = Orthanc(tmp_path / "orthanc")
    seashore = Seashore(tmp_path / "seashore", site)
    seashore.site = {**site, "receive": {**site["receive"], "port": seashore.dicom_port, "min_free_bytes": 0}}
    site["destination"][0]["dicom"]["port"] = archive.dicom_port
    options["DicomModalities"]["seashore"]["Port"] = seashore.dicom_port
    own = {
        "DicomModalitiesInDatabase": False,
        "DicomPort": archive.dicom_port,
        "HttpPort": archive.http_port,
        "StorageDirectory": str(tmp_path / "db"),
    }
    archive.options = options | own | {"IndexDirectory": str(tmp_path / "db"), "LuaScripts": [str(lua)]}
    archive.start()
    seashore.start()
    yield archive, seashore
    seashore.stop()
    archive.kill()


@pytest.mark.slow
def test_the_guides_route_brings_a_clip_in_and_its_results_back_once(routed: tuple[Orthanc, Seashore], tmp_path: Path) -> None:
    archive, seashore = routed
    clip = clip_file(tmp_path)

    assert store([clip], archive.dicom_port, aec="ORTHANC").returncode == 0

    end_s = time.monotonic() + 60
    while len(archive.instances()) < 4:
        assert time.monotonic() < end_s, seashore.log.read_text()[-3000:]
        time.sleep(0.2)
    time.sleep(2)
    assert (len(archive.studies()), len(archive.series()), len(archive.instances())) == (1, 4, 4)
    assert len(seashore.events("received")) == 1, "results are not routed back"
    assert uid_of(clip) in archive.instances()
