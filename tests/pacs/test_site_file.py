"""The site file: what is wrong is told in the administrator's words, with its line, all at once."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from service.errors import BadSite
from service.pacs.rules import EVERY_ULTRASOUND_OBJECT
from service.pacs.site import Site
from service.pacs.site_file import MAX_SITE_FILE_BYTES, load_site
from service.pacs.site_words import _model_in

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "pacs.toml"


def told(folder: Path, text: str) -> list[str]:
    path = folder / "pacs.toml"
    path.write_text(text)
    with pytest.raises(BadSite) as error:
        load_site(path)
    return str(error.value).split("\n")


def test_the_example_in_the_docs_is_a_site(tmp_path: Path) -> None:
    site = load_site(EXAMPLE)

    assert site.receive.may_send("VENUE_ED")
    assert site.receive.node_of("VENUE_ED ") == site.receive.node[0]
    assert [destination.name for destination in site.destination] == ["archive", "research"]
    assert site.rule.text.startswith("  Modality is")


def test_the_example_shows_every_key_and_its_defaults_are_the_defaults() -> None:
    """Every key stands there, commented out where it is a default; what stands behind the # is then read too."""
    text = EXAMPLE.read_text()
    keys = set(re.findall(r"^(?:# )?([a-z_]+) = ", text, re.MULTILINE))
    shown = tomllib.loads("\n".join(re.findall(r"^# ((?:max|min|idle|strip|show|timeout|give)\w+ = .*)$", text, re.MULTILINE)))
    defaults = {name: field.default for model in models(Site) for name, field in model.model_fields.items()}

    assert keys == {name for model in models(Site) for name, field in model.model_fields.items() if _model_in(field.annotation) is None}
    assert shown == {name: defaults[name] for name in shown}
    assert len(shown) == 9


def models(model: type[BaseModel]) -> set[type[BaseModel]]:
    inner = {found for field in model.model_fields.values() if (found := _model_in(field.annotation)) is not None}
    return {model}.union(*map(models, inner))


def test_an_empty_file_is_a_site_that_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / "pacs.toml"
    path.write_bytes(b"\xef\xbb\xbf# as Notepad writes it\r\n")

    site = load_site(path)

    assert not site.receive.may_send("ANYBODY")
    assert site.rule.text == EVERY_ULTRASOUND_OBJECT


def test_everything_wrong_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
# line 1
analyse = '''
  Modalty is "US"
'''
[receive]
port = 70000
max_associations = "5"
calling_ae_titles = [
  "A",
  "MORE THAN SIXTEEN CHARACTERS",
]
prot = 3

[[destination]]
name = "archive"
dicom = { address = "", port = true }

[[destination]]
name = "Second"
results = ["sr", "foo"]
[destination.web]
url = "ftp://x"

[receve]
"""
    ae_title = "1 to 16 characters, no backslash"

    assert told(tmp_path, text) == [
        "pacs.toml, line 2: analyse: there is no DICOM element 'Modalty'; did you mean Modality?",
        "pacs.toml, line 6: receive: port is 70000; it must be between 0 and 65535.",
        "pacs.toml, line 7: receive: max_associations is '5'; it must be a whole number.",
        "pacs.toml, line 8: receive: calling_ae_titles, entry 2 is 'MORE THAN SIXTEEN CHARACTERS'; "
        f'it must be an AE title: {ae_title}; or "*" for anyone.',
        "pacs.toml, line 12: receive: there is no key 'prot'; did you mean 'port'?",
        "pacs.toml, line 16: destination 'archive': dicom.address is empty; it must be a host name or an IP address.",
        "pacs.toml, line 16: destination 'archive': dicom.ae_title is missing.",
        "pacs.toml, line 16: destination 'archive': dicom.port is true; it must be a whole number.",
        "pacs.toml, line 19: destination 'Second': name is 'Second'; "
        "it must be 1 to 31 small letters, digits and hyphens, not beginning with a hyphen.",
        "pacs.toml, line 20: destination 'Second': results, entry 2 is 'foo'; it must be 'sr', 'sc' or 'pdf'.",
        "pacs.toml, line 22: destination 'Second': web.url is 'ftp://x'; "
        "it must be a web address that begins with http:// or https://, without ? and #.",
        "pacs.toml, line 24: there is no key 'receve'; did you mean 'receive'?",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[receive]\nidle_s = 0", ", line 2: receive: idle_s is 0; it must be more than 0 and at most 2592000."),
        ("[receive]\nmax_instance_bytes = 0", ", line 2: receive: max_instance_bytes is 0; it must be at least 1."),
        (
            'signs = "pneumothorax"',
            ", line 1: signs: it is 'pneumothorax'; it can be none, all, or one or more of a_lines, b_lines, effusion, "
            "consolidation, fluid_or_solid, lung_sliding with "
            "commas between them.",
        ),
        ("strip_identity = 1", ", line 1: strip_identity is 1; it must be true or false."),
        (
            'strip_identity = true\n[[destination]]\nname = "a"\nweb = { url = "http://x" }',
            ": strip_identity leaves no study that results could go into: give no [[destination]].",
        ),
        ("receive = 3", ", line 1: receive is 3; it must be a table."),
        ("destination = {}", ", line 1: destination is a table; it must be a list in [ ]."),
        ("destination = [3]", ", line 1: destination number 1: it is 3; it must be a table."),
        ("[archive]", ", line 1: archive: give either [archive.dicom] or [archive.web]."),
        ('[[destination]]\nname = "a"', ", line 1: destination 'a': give either [destination.dicom] or [destination.web]."),
        ("[[destination]]\nresults = []", ", line 1: destination number 1: name is missing."),
        (
            '[[destination]]\nname = "a"\ncommit = true\nweb = { url = "http://x" }',
            ", line 1: destination 'a': commit needs [destination.dicom]: STOW-RS has no storage commitment.",
        ),
        (
            '[[destination]]\nname = "a"\nweb = { url = "http://x" }\n[[destination]]\nname = "a"\nweb = { url = "http://x" }',
            ": two of [[destination]] have the name 'a'.",
        ),
        (
            '[[destination]]\nname = "a"\ncommit = true\ndicom = { ae_title = "ARC", address = "x", port = 1 }',
            ": destination 'a' has commit, so 'ARC' must be in calling_ae_titles under [receive].",
        ),
        (
            "[receive]\nnode = [" + '{ ae_title = "A", address = "x", port = 1 }, ' * 2 + "]",
            ", line 1: receive: two of [[node]] have the AE title 'A'.",
        ),
        ('[receive.tls]\nca = "there.pem"', ", line 1: receive: [receive.tls] needs certificate and key: they are what this side shows."),
        ('[receive.tls]\nkey = "there.pem"', ", line 1: receive: tls: certificate and key belong together; one of them is missing."),
        (
            '[receive.tls]\nca = "not.pem"',
            ", line 2: receive: tls.ca: there is no such file; a relative name is taken from the site file's folder.",
        ),
    ],
)
def test_each_thing_that_cannot_be_has_its_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "there.pem").touch()

    assert told(tmp_path, text) == [f"pacs.toml{sentence}"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("port", "line 1: after a key come '=' and its value."),
        ("\nport = abc", "line 2: the value cannot be read. Texts stand in quotes; true, false and numbers do not."),
        ("port = 1\nport = 2", "line 2: this key is there twice."),
        ("[a]\n[a]", "line 2: this table is there twice, or is a key already; tables that repeat have [[double]] brackets."),
        ('name = "a\n', "line 1: a text is not closed by its quote on the same line, or holds a control character."),
        ('name = """a', "line 1: a text is not closed by its quote."),
        ('analyse = "Modality is "US""', "line 1: something follows the value; one key a line, and texts stand in quotes."),
        ('key = "C:\\query"', "line 1: a backslash in a text is written twice, or the text stands in 'single' quotes."),
        ("list = [1,\n2\n", "line 2: a list is not closed by ]."),
        ("[a", "line 1: the name of a table is not closed by its bracket."),
        ("= 3", "line 1: a line holds a key with its value, or a table's name in [ ]; a comment begins with #."),
        ("a b = 3", "line 1: after a key come '=' and its value."),
        ("a. = 3", "line 1: a key is made of letters, digits, - and _."),
        ("a = {b = 1\n", "line 1: a table is not closed by }."),
    ],
)
def test_what_is_not_toml_is_told_in_our_words(tmp_path: Path, text: str, sentence: str) -> None:
    assert told(tmp_path, text) == [f"pacs.toml, {sentence}"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    path = tmp_path / "pacs.toml"
    with pytest.raises(BadSite, match="There is no site file '"):
        load_site(path)
    with pytest.raises(BadSite, match="cannot be opened."):
        load_site(tmp_path)
    path.write_bytes(b"# one\n# \xe4\n")
    with pytest.raises(BadSite, match="pacs.toml, line 2: a character is not UTF-8; save the file as UTF-8 text."):
        load_site(path)
    path.write_bytes(b"#" * (MAX_SITE_FILE_BYTES + 1))
    with pytest.raises(BadSite, match="pacs.toml is larger than 256 KiB; that is no site file."):
        load_site(path)


def test_files_are_found_beside_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "a.pem").touch()
    (tmp_path / "pacs.toml").write_text('[receive.tls]\ncertificate = "a.pem"\nkey = "a.pem"')

    tls = load_site(tmp_path / "pacs.toml").receive.tls

    assert tls is not None
    assert tls.certificate == tmp_path / "a.pem"
