"""`seashore train`: help that teaches, sentences instead of traces, and a fit from the command line."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner, Result

from training.cli import app
from training.examples import ExampleWriter, Origin
from training.experiment import read_experiment

QUICK = Path(__file__).parents[2] / "training" / "experiments" / "quick.toml"
STEPS = ("examples", "fit", "calibrate", "evaluate", "export", "all", "pleura")
ASIDE = ("reexport", "curves", "grid", "signs", "trials", "data")
"""Commands that leave nothing for a next step."""
WHOLE = get_command(app)
assert isinstance(WHOLE, TyperGroup)


def ask(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_the_help_lists_the_steps_in_their_order_with_an_example() -> None:
    text = ask("--help").output

    assert re.findall(r"^  (\w+) {2,}\S", text.partition("Commands:")[2], re.MULTILINE) == [*STEPS, *ASIDE]
    assert "seashore train all training/experiments/quick.toml" in text


def helped(group: TyperGroup, *above: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every command, those inside others as well: what is typed behind `seashore train`, and what its help ends with."""
    for name, command in group.commands.items():
        yield (*above, name), command.epilog or ""
        if isinstance(command, TyperGroup):
            yield from helped(command, *above, name)


HELPED = dict(helped(WHOLE))


def examples_in(text: str) -> list[list[str]]:
    """What is typed behind `seashore train`, one an example; what an example is for stands two spaces or more behind it."""
    return [shlex.split(re.split(r" {2,}", line)[0]) for line in re.findall(r"^(?:Example:| ) seashore train (.+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("command", HELPED, ids=" ".join)
def test_the_help_of_a_command_ends_with_an_example_of_it(command: tuple[str, ...]) -> None:
    examples = examples_in(HELPED[command])
    shown = " ".join(ask(*command, "--help").output.split())

    assert examples
    assert [tuple(words[: len(command)]) for words in examples] == [command] * len(examples)
    assert f"seashore train {shlex.join(examples[-1])}" in shown.partition("Show this message and exit.")[2]


@pytest.mark.parametrize("words", [words for text in (WHOLE.epilog or "", *HELPED.values()) for words in examples_in(text)], ids=" ".join)
def test_an_example_can_be_typed_as_it_stands(words: list[str]) -> None:
    """Every option is there and none that is needed is missing. Parsed, not run."""
    command, rest = WHOLE, words
    while isinstance(command, TyperGroup):
        command, rest = command.commands[rest[0]], rest[1:]

    command.make_context(words[0], list(rest))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("fit", "missing.toml"), "The experiment cannot be read: No such file or directory."),
        (("fit", QUICK), "This folder holds no finished examples; `seashore train examples` makes them."),
        (("examples", QUICK, "--manifest", "missing.csv"), "The manifest cannot be read: No such file or directory."),
        (("examples", QUICK, "--clips", "clips"), "--clips says where a manifest's clips lie; --manifest must say which table that is."),
        (("export", QUICK), "calibration.json is not there yet; `seashore train calibrate` makes it."),
    ],
)
def test_what_a_person_can_mend_is_a_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    answer = ask(*arguments, "--work", tmp_path / "work")

    assert answer.exit_code == 1
    assert answer.output.strip() == sentence


def test_a_fit_from_the_command_line_says_what_it_reached_and_is_not_done_twice(tmp_path: Path) -> None:
    text = re.sub(r"(?m)^(width|epochs) = \d+$", lambda line: f"{line[1]} = {2 if line[1] == 'width' else 1}", QUICK.read_text())
    (tmp_path / "tiny.toml").write_text(text)
    spec = read_experiment(tmp_path / "tiny.toml").spec
    with ExampleWriter(tmp_path / "work" / "examples", spec) as writer:
        for number in range(16):
            writer.add(
                np.full(spec.patch_shape, 100, np.uint8), Origin(number % 2, f"P{number // 4}", "clip", "mirror", f"{number // 2}", 0)
            )
    asked = "fit", tmp_path / "tiny.toml", "--work", tmp_path / "work", "--threads", "1"
    first, again = ask(*asked), ask(*asked)

    assert first.exit_code == again.exit_code == 0, first.output
    assert re.search(r"Lowest validation loss \d\.\d+ after epoch 0, AUROC 0.5, twins in order 0\n  mirror: AUROC 0.5\n", first.output)
    assert again.output == first.output
