"""Examples on disk: what is written comes back, in order, and never half of it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from service.cine.spec import InputSpec
from training.examples import ExamplesError, ExampleSet, ExampleWriter, Origin, read_examples

SPEC = InputSpec(
    fps=30,
    window_frames=3,
    window_stride_frames=1,
    picture_depth_px=480,
    patch_px=2,
    column_stride_px=2,
    row_offset_px=0,
    bands=("lung", "wall"),
    wall_gap_px=0,
    stabilised=True,
    dtype="uint8",
)


def patch(number: int) -> NDArray[np.uint8]:
    return np.full(SPEC.patch_shape, number, np.uint8)


def origin(number: int, **other: object) -> Origin:
    """Twins are 0 and 1, 2 and 3, ...; four examples a patient."""
    given = Origin(float(number % 2), f"P{number // 4}", f"clip {number // 4}", "mirror", f"{number // 2}", number)
    return replace(given, **other)


def write(folder: Path, num: int, *, spec: InputSpec = SPEC, examples_per_shard: int = 4) -> ExampleSet:
    with ExampleWriter(folder, spec, examples_per_shard=examples_per_shard) as writer:
        for number in range(num):
            writer.add(patch(number), origin(number))
    return read_examples(folder)


def test_what_was_written_comes_back_with_where_it_comes_from(tmp_path: Path) -> None:
    examples = write(tmp_path / "examples", 6)

    assert len(examples) == 6
    assert examples.spec == SPEC
    assert examples.label.tolist() == [0, 1, 0, 1, 0, 1]
    assert examples.patient.tolist() == ["P0"] * 4 + ["P1"] * 2
    assert examples.clip.tolist() == ["clip 0"] * 4 + ["clip 1"] * 2
    assert set(examples.kind) == {"mirror"}
    assert examples.pair.tolist() == ["0", "0", "1", "1", "2", "2"]
    assert examples.seed.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("num", [1, 3, 4, 5, 8, 9])
def test_every_patch_comes_back_whatever_the_shards(tmp_path: Path, num: int) -> None:
    examples = write(tmp_path / "examples", num)

    assert len(list((tmp_path / "examples").glob("*.npy"))) == -(-num // 4)
    assert examples.take(np.arange(num))[:, 0, 0, 0, 0].tolist() == list(range(num))


def test_patches_are_taken_in_the_order_asked_for_across_shards(tmp_path: Path) -> None:
    examples = write(tmp_path / "examples", 10)

    assert examples.take(np.array([9, 0, 4, 3, 4]))[:, 1, 2, 1, 1].tolist() == [9, 0, 4, 3, 4]
    assert examples.take(np.array([], np.intp)).shape == (0, 2, 3, 2, 2)


def test_a_shard_is_a_plain_npy_file_opened_as_a_memory_map(tmp_path: Path) -> None:
    examples = write(tmp_path / "examples", 5)

    assert np.load(tmp_path / "examples" / "patches-00000.npy").shape == (4, 2, 3, 2, 2)
    assert all(isinstance(shard, np.memmap) for shard in examples.shards.maps)


def test_the_repr_is_the_shape_and_no_more(tmp_path: Path) -> None:
    assert repr(write(tmp_path / "examples", 5)) == "ExampleSet((5, 2, 3, 2, 2) uint8)"


def fail_on_the_way(folder: Path) -> None:
    with ExampleWriter(folder, SPEC) as writer:
        writer.add(patch(0), origin(0))
        raise RuntimeError


def test_nothing_is_left_of_examples_that_failed_on_the_way(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        fail_on_the_way(tmp_path / "examples")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_not_read_and_is_written_over(tmp_path: Path) -> None:
    write(tmp_path / "examples", 5)
    (tmp_path / "examples" / "index.json").unlink()
    (tmp_path / "examples").rename(tmp_path / "examples.partial")

    with pytest.raises(ExamplesError, match="This folder holds no finished examples; `seashore train examples` makes them."):
        read_examples(tmp_path / "examples")
    assert len(write(tmp_path / "examples", 2)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["examples"]


def test_examples_are_never_written_over(tmp_path: Path) -> None:
    write(tmp_path / "examples", 1)

    with pytest.raises(ExamplesError, match="There is already something in the place of these examples; remove it or name another folder."):
        ExampleWriter(tmp_path / "examples", SPEC)


def test_a_patch_of_another_shape_or_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExamplesError) as caught, ExampleWriter(tmp_path / "examples", SPEC) as writer:
        writer.add(np.zeros((1, 3, 2, 2), np.uint8), origin(0))
    assert str(caught.value) == "A patch is uint8 (1, 3, 2, 2); the spec of these examples says uint8 (2, 3, 2, 2)."
    with pytest.raises(ExamplesError, match="A patch is float32"), ExampleWriter(tmp_path / "examples", SPEC) as writer:
        writer.add(patch(0).astype(np.float32), origin(0))  # type: ignore[arg-type]


def test_an_example_needs_a_label_of_0_or_1_and_a_patient() -> None:
    with pytest.raises(ExamplesError, match=r"The label of an example is 0.5; it must be 1 \(slides\) or 0 \(does not\)."):
        origin(0, label=0.5)
    with pytest.raises(ExamplesError, match="An example has no patient; without one the split cannot keep patients apart."):
        origin(0, patient="")


def test_several_folders_are_read_as_one_set_and_their_twins_are_not_mixed_up(tmp_path: Path) -> None:
    write(tmp_path / "real", 4)
    write(tmp_path / "phantoms", 2)
    both = read_examples(tmp_path / "real", tmp_path / "phantoms")

    assert both.pair.tolist() == ["0/0", "0/0", "0/1", "0/1", "1/0", "1/0"]
    assert both.take(np.array([5, 3]))[:, 0, 0, 0, 0].tolist() == [1, 3]
    assert both.fingerprint != read_examples(tmp_path / "phantoms", tmp_path / "real").fingerprint


def test_an_example_without_a_twin_stays_without_one(tmp_path: Path) -> None:
    for name in ("real", "phantoms"):
        with ExampleWriter(tmp_path / name, SPEC) as writer:
            writer.add(patch(0), origin(0, pair=""))

    assert read_examples(tmp_path / "real", tmp_path / "phantoms").pair.tolist() == ["", ""]


def test_examples_of_different_specs_are_not_put_together(tmp_path: Path) -> None:
    write(tmp_path / "one", 1)
    write(tmp_path / "two", 1, spec=replace(SPEC, wall_gap_px=6, fps=25))

    with pytest.raises(ExamplesError) as caught:
        read_examples(tmp_path / "one", tmp_path / "two")
    assert str(caught.value) == (
        "These examples were made to different specs: fps is 30 in one and 25 in another; "
        "wall_gap_px is 0 in one and 6 in another. One model takes one."
    )


def test_twins_of_two_patients_are_refused(tmp_path: Path) -> None:
    with ExampleWriter(tmp_path / "examples", SPEC) as writer:
        writer.add(patch(0), origin(0))
        writer.add(patch(1), origin(1, patient="somebody else"))

    with pytest.raises(ExamplesError, match=r"Twins \(examples of one pair\) are of two patients; they must come from one clip."):
        read_examples(tmp_path / "examples")


def test_a_folder_that_lost_a_shard_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "examples", 6)
    (tmp_path / "examples" / "patches-00001.npy").unlink()

    with pytest.raises(ExamplesError, match="There are 6 examples in the table and 4 patches; one each is needed."):
        read_examples(tmp_path / "examples")


def test_a_shard_of_another_shape_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "examples", 2)
    np.save(tmp_path / "examples" / "patches-00000.npy", np.zeros((2, 1, 1, 1, 1), np.uint8))

    with pytest.raises(ExamplesError, match=r"A shard holds uint8 patches of \(1, 1, 1, 1\); its spec says uint8 of \(2, 3, 2, 2\)."):
        read_examples(tmp_path / "examples")


def test_examples_of_a_spec_this_version_cannot_read_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "examples", 2)
    index = json.loads((tmp_path / "examples" / "index.json").read_text())
    (tmp_path / "examples" / "index.json").write_text(json.dumps(index | {"spec": index["spec"] | {"colour": True}}))

    with pytest.raises(ExamplesError, match="These examples were made by another version: their spec cannot be read. Make them again."):
        read_examples(tmp_path / "examples")


def test_no_folder_is_no_examples() -> None:
    with pytest.raises(ExamplesError, match="No folder of examples was named."):
        read_examples()
