"""`seashore` as a person uses it, with a reader whose answers are written in the clip."""

import json
import subprocess
import sys
from datetime import datetime
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from service import __version__, cli
from service.api.schemas import INTENDED_USE
from service.errors import BadBundle
from service.pipeline import Options, Rows
from service.reading import Saliency
from service.shelf import ModelEntry
from tests.fakes.service import WordReader

SUMMARY = f"""\
Lung sliding: PRESENT
Probability of sliding 0.93 (95 %: 0.85-0.97)
Control: the chest wall itself reads 0.12
Measured slide: 5.64 px (1.41 mm) past the wall, median of 10 places; wall past wall 0.70 px
Picture quality: good (0.90)
Clip: convex probe, 60 frames at 30.0 fps (2.0 s), 640x480, 0.25 mm/px
Model: resnet3d18-w16:0.1.0 on cpu (OpenVINO), 1.15 s

{INTENDED_USE}
"""
SIGN_SUMMARY = """\
Signs beside sliding (research findings; each stands for itself):
  A-lines: ABSENT (probability of A-lines 0.08)
  B-lines: PRESENT (0.91), best seen at 1.4 s
  Effusion: CANNOT TELL (probability of effusion 0.52), most like it at 2.0 s
  Consolidation: not assessable: Its model was measured on clips of convex probes alone; this one is linear.
Measured (A-lines, effusion, consolidation; signs-small 1.0.0): 47 public clips of 30 patients: AUROC 0.85 (0.70-0.95).
Measured (B-lines; blines-small 1.0.0): 47 public clips of 30 patients: AUROC 0.85 (0.70-0.95).
"""


@pytest.fixture
def reader() -> WordReader:
    return WordReader()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    for word in ("present", "absent", "lung point", "not assessable", "doubted", "clip_too_long"):
        (tmp_path / f"{word.replace(' ', '_')}.mp4").write_text(word)
    return tmp_path


def run(reader: WordReader, *arguments: str | Path) -> Result:
    """`seashore ARGUMENTS`, 300 columns wide so that no line is broken."""
    cli.out.width = 300  # a console takes COLUMNS when it is made, and a pytest-xdist worker has set that to 80 by then
    return CliRunner().invoke(cli.build_app(lambda settings: reader), list(map(str, arguments)), env={"TERMINAL_WIDTH": "300"})


def test_one_clip_is_answered_in_words(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", clips / "present.mp4")

    assert result.stdout == SUMMARY
    assert result.exit_code == 0


def test_a_clip_that_cannot_be_assessed_is_answered_with_what_to_do(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", clips / "not_assessable.mp4")

    assert result.stdout.startswith(
        "Not assessable: no pleural line was found\n"
        "No pleural line was found. Turn the probe across two ribs and record again.\n"
        "Picture quality: not sufficient (0.20)\n"
    )
    assert result.exit_code == 0


def test_a_lung_point_goes_first(reader: WordReader, clips: Path) -> None:
    assert run(reader, "predict", clips / "lung_point.mp4").stdout.startswith("Suspected lung point: slides on one side only\n")


def test_what_speaks_against_the_verdict_is_said_below_it(reader: WordReader, clips: Path) -> None:
    assert run(reader, "predict", clips / "doubted.mp4").stdout.startswith(
        "Lung sliding: PRESENT\n"
        "Probability of sliding 0.93 (95 %: 0.85-0.97)\n"
        "Look twice: the network alone does not see most patches slide. The verdict rests on the measured slide.\n"
        "Look twice: the chest wall, which cannot slide, reads as if it did. The probe may have moved.\n"
        "Control: the chest wall itself reads 0.90\n"
    )


def test_several_clips_are_a_table_and_an_unread_one_fails_the_command(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", *(clips / f"{name}.mp4" for name in ("absent", "doubted", "lung_point", "clip_too_long", "nowhere")))

    rows = [[cell.strip() for cell in line.split("│")[2:-1]] for line in result.stdout.splitlines() if line.startswith("│")]
    assert rows == [
        ["ABSENT", "0.07 (0.03-0.15)", ""],
        ["PRESENT, look twice", "0.93 (0.85-0.97)", ""],
        ["LUNG POINT?", "0.52 (0.31-0.74)", ""],
        ["not read", "", "clip_too_long"],
        ["not read", "", "unreadable_file"],
    ]
    assert result.stderr.splitlines()[-2:] == [
        f"{clips}/clip_too_long.mp4: This is the sentence of clip_too_long.",
        f"{clips}/nowhere.mp4: No such file or directory.",
    ]
    assert result.exit_code == 1


def test_signs_stand_below_everything_and_say_that_they_are_research(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", "--signs", "all", clips / "present.mp4")

    assert result.stdout.replace(SIGN_SUMMARY, "") == SUMMARY
    assert run(reader, "predict", "--signs", "b_lines", clips / "present.mp4").stdout.count("PRESENT") == 2


def test_the_table_has_signs_only_where_they_were_asked_for(reader: WordReader, clips: Path) -> None:
    asked = run(reader, "predict", "--signs", "b_lines,effusion", clips / "absent.mp4", clips / "clip_too_long.mp4")

    rows = [[cell.strip() for cell in line.split("│")[2:-1]] for line in asked.stdout.splitlines() if line.startswith("│")]
    assert rows == [["ABSENT", "0.07 (0.03-0.15)", "", "B-lines PRESENT, effusion CANNOT TELL"], ["not read", "", "clip_too_long", ""]]
    assert "Signs (research findings)" in asked.stdout
    assert "Measured (effusion; signs-small 1.0.0): 47 public clips" in asked.stdout
    assert "Signs" not in run(reader, "predict", clips / "absent.mp4", clips / "clip_too_long.mp4").stdout


def test_json_is_the_answer_of_the_api(reader: WordReader, clips: Path) -> None:
    answer = json.loads(run(reader, "predict", "--json", clips / "absent.mp4").stdout)

    assert answer["lung_sliding"] == {"probability": 0.07, "interval": [0.03, 0.15], "verdict": "absent", "wall_control": 0.12}


def test_json_of_several_clips_is_one_line_a_clip(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", "--json", clips / "absent.mp4", clips / "clip_too_long.mp4")

    first, second = map(json.loads, result.stdout.splitlines())
    assert (first["path"], first["answer"]["lung_sliding"]["verdict"]) == (f"{clips}/absent.mp4", "absent")
    assert second == {
        "path": f"{clips}/clip_too_long.mp4",
        "problem": {"code": "clip_too_long", "detail": "This is the sentence of clip_too_long."},
    }
    assert result.exit_code == 1


def test_the_annotated_clip_is_written_where_it_is_asked_for(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", clips / "present.mp4", "--overlay", clips / "out.mp4")

    assert (clips / "out.mp4").read_bytes() == b"annotated present"
    assert result.exit_code == 0


def test_an_annotated_clip_that_cannot_be_written_fails_the_command_not_the_answer(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", clips / "present.mp4", "--overlay", clips / "nowhere" / "out.mp4")

    assert result.stdout == SUMMARY
    assert result.stderr == f"{clips}/present.mp4: The annotated clip cannot be written: No such file or directory.\n"
    assert result.exit_code == 1


def test_the_report_is_written_where_it_is_asked_for_and_bears_the_date(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", clips / "present.mp4", "--report", clips / "out.pdf", "--overlay", clips / "out.mp4")

    assert (clips / "out.pdf").read_bytes() == b"report of present"
    assert (clips / "out.mp4").read_bytes() == b"annotated present"
    assert abs((reader.reported_at[0] - datetime.now().astimezone()).total_seconds()) < 60
    assert result.exit_code == 0


def test_a_report_that_cannot_be_written_fails_the_command_not_the_answer(reader: WordReader, clips: Path) -> None:
    result = run(reader, "predict", clips / "present.mp4", "--report", clips / "nowhere" / "out.pdf")

    assert result.stdout == SUMMARY
    assert result.stderr == f"{clips}/present.mp4: The report cannot be written: No such file or directory.\n"
    assert result.exit_code == 1


def test_options_reach_the_reader(reader: WordReader, clips: Path) -> None:
    run(reader, "predict", clips / "present.mp4", "--saliency=none", "--rows=all", "--region=0,0 20,0 20,10", "--mm-per-px=0.1")

    assert reader.read_options == [Options(Saliency.NONE, Rows.ALL, ((0.0, 0.0), (20.0, 0.0), (20.0, 10.0)), 0.1)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--rows=ribs"], "rows is 'ribs'; it can be pleura or all."),
        (["--model=other"], "There is no such model; there is resnet3d18-w16:0.1.0."),
        (["second.mp4", "--overlay=out.mp4"], "--overlay takes one clip at a time."),
        (["second.mp4", "--report=out.pdf"], "--report takes one clip at a time."),
    ],
)
def test_a_wrong_option_is_one_sentence_and_exit_code_2(reader: WordReader, arguments: list[str], sentence: str) -> None:
    result = run(reader, "predict", "first.mp4", *arguments)

    assert (result.exit_code, result.stderr, result.stdout) == (2, f"{sentence}\n", "")


def test_a_wrong_setting_is_named(reader: WordReader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASHORE_MAX_SECONDS", "long")

    result = run(reader, "models")

    assert result.exit_code == 2
    assert result.stderr.startswith("SEASHORE_MAX_SECONDS: Input should be a valid number")


def test_a_broken_bundle_is_one_line_with_what_the_operator_needs(clips: Path) -> None:
    result = run(WordReader(broken_bundle=True), "predict", clips / "present.mp4")

    assert result.exit_code == 1
    assert result.stderr == "The model's golden clip is answered 0.31 here; 0.93 was expected. golden.json\n"


def test_the_models_are_listed(reader: WordReader) -> None:
    lines = run(reader, "models").stdout.splitlines()

    assert [line.split() for line in lines if "resnet" in line] == [
        ["│", "resnet3d18-w16", "│", "0.1.0", "│", "default", "│"],
        ["│", "resnet3d18-w16", "│", "0.0.9", "│", "│"],
    ]


def test_an_empty_store_says_which_setting_names_it() -> None:
    class EmptyReader(WordReader):
        def models(self) -> tuple[ModelEntry, ...]:
            return ()

    result = run(EmptyReader(), "models")

    assert result.stderr == "The model store holds no model. SEASHORE_MODEL_STORE says where it is.\n"
    assert result.exit_code == 1


def test_the_version_is_printed(reader: WordReader) -> None:
    assert run(reader, "--version").stdout == f"seashore {__version__}\n"


def test_help_teaches_with_examples(reader: WordReader) -> None:
    assert "seashore predict lung.mp4 --overlay annotated.mp4 --report report.pdf" in run(reader, "predict", "--help").stdout
    assert "seashore serve" in run(reader, "--help").stdout


@pytest.mark.parametrize("arguments", [["--host", "0.0.0.0"], ["--host", "10.1.2.3"]])
def test_it_does_not_serve_a_network_without_keys_and_tls(
    reader: WordReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("SEASHORE_DATA_DIR", str(tmp_path))
    result = run(reader, "serve", *arguments)

    assert result.exit_code == 2
    assert (
        f"Whoever reaches {arguments[1]} could use this service, for nobody needs a key. Make one with `seashore keys add NAME`"
        in result.stderr
    )
    assert f"Clips and keys would cross the network to {arguments[1]} unencrypted. Set SEASHORE_TLS_CERTIFICATE;" in result.stderr


def test_memory_is_given_back_before_anything_is_served(reader: WordReader, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    monkeypatch.setattr("service.cli.give_memory_back", lambda: done.append("memory"))
    monkeypatch.setattr("service.cli._serve", lambda settings, reader: done.append("served"))
    run(reader, "serve")

    assert done == ["memory", "served"]


def test_it_does_not_serve_with_keys_it_cannot_read(reader: WordReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEASHORE_DATA_DIR", str(tmp_path))
    (tmp_path / "keys.json").write_text("{")
    result = run(reader, "serve")

    assert (result.exit_code, result.stderr) == (2, "The file of keys cannot be read.\n")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SEASHORE_OIDC_ISSUER", "https://sso", "SEASHORE_OIDC_ISSUER and SEASHORE_OIDC_AUDIENCE go together."),
        ("SEASHORE_TLS_KEY", "key.pem", "SEASHORE_TLS_KEY needs SEASHORE_TLS_CERTIFICATE."),
        ("SEASHORE_OIDC_ISSUER", "http://sso", "SEASHORE_OIDC_ISSUER: String should match pattern"),
    ],
)
def test_settings_that_do_not_go_together_are_told(
    reader: WordReader, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    result = run(reader, "serve")

    assert result.exit_code == 2
    assert result.stderr.startswith(sentence)


extra = typer.Typer()


@extra.callback(invoke_without_command=True)
def _extra() -> None:
    typer.echo("from another package")


def test_a_command_of_another_package_is_found_and_a_broken_one_is_left_out(reader: WordReader) -> None:
    app = cli.build_app(lambda settings: reader)
    cli._add_command(app, EntryPoint("extra", "tests.test_cli:extra", cli.COMMANDS_GROUP))
    cli._add_command(app, EntryPoint("broken", "tests.no_such_module:app", cli.COMMANDS_GROUP))

    assert CliRunner().invoke(app, ["extra"]).stdout == "from another package\n"
    assert CliRunner().invoke(app, ["broken"]).exit_code == 2


def test_only_the_command_that_is_called_is_imported() -> None:
    assert [cli._is_wanted("train", words) for words in (["train", "fit"], [], ["--help"], ["predict", "x"])] == [True, True, True, False]


def test_the_command_can_be_called_as_a_program() -> None:
    answer = subprocess.run([sys.executable, "-m", "service.cli", "--version"], capture_output=True, text=True, check=True)

    assert answer.stdout == f"seashore {__version__}\n"


def test_a_store_that_cannot_be_used_is_an_error_of_the_operator(clips: Path) -> None:
    class NoModel(WordReader):
        def find(self, model: str | None) -> ModelEntry:
            raise BadBundle("The model store holds no model.")

    assert run(NoModel(), "predict", clips / "present.mp4").stderr == "The model store holds no model.\n"
