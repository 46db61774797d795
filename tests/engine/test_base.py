"""How a call is cut into batches."""

from service.engine.base import batches

SIZES = (16, 8, 4, 2, 1)


def test_batches_cover_every_patch_once_and_in_order() -> None:
    for number in range(100):
        parts = list(batches(number, SIZES))

        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(number))


def test_a_batch_has_one_of_the_few_sizes_that_warm_up_has_seen() -> None:
    assert {part.stop - part.start for number in range(100) for part in batches(number, SIZES)} == set(SIZES)


def test_the_largest_batches_come_first() -> None:
    assert [part.stop - part.start for part in batches(39, SIZES)] == [16, 16, 4, 2, 1]
