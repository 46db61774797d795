"""What can be wrong with a file: each takes a clip's bytes and gives others, by the random numbers it is given."""

from collections.abc import Callable, Sequence
from random import Random

from tests.soak.structure import Part, grown, parts_of, with_length

Mutation = Callable[[bytes, Random, Sequence[bytes]], bytes]
"""Of (clip, random, other clips to splice with)."""

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
HEADER_BYTES = 400
"""A part as small as this is likely to describe; a larger one holds pictures."""
DICOM_TEXTS = (
    b"",
    b"0",
    b"-1",
    b"1e308",
    b"nan",
    b"99999999",
    b"4294967296",
    b"1\\2\\3",
    b"A" * 70,
    b"\xff\xfe",
    b"1.2..3",
    b"RGB",
    b"YBR_FULL",
)


def flip_bits(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    made = bytearray(clip)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        made[_place(made, random)] ^= 1 << random.randrange(8)
    return bytes(made)


def overwrite_run(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    at, length = _place(clip, random), random.choice((1, 4, 16, 64, 400))
    run = random.choice((random.randbytes(length), bytes(length), b"\xff" * length))
    return clip[:at] + run + clip[at + length :]


def truncate(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Where a part begins or ends, or anywhere."""
    edges = [at for part in parts_of(clip) for at in (part.start, part.body, part.end) if 0 < at < len(clip)]
    return clip[: random.choice(edges) if edges and random.random() < 0.5 else random.randrange(len(clip))]


def splice(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """The head of one clip with the tail of another, or a stretch of it in the middle."""
    other = random.choice(others)
    at, there = random.randrange(len(clip)), random.randrange(len(other))
    if random.random() < 0.5:
        return clip[:at] + other[there:]
    return clip[:at] + other[there : there + random.choice((16, 256, 4096))] + clip[at:]


def append_junk(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    return clip + random.choice((random.randbytes(5000), bytes(5000), clip, random.choice(others)))


def edit_length(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """A part says that it is longer or shorter than it is."""
    parts = [part for part in parts_of(clip) if part.length_bytes]
    if not parts:
        return flip_bits(clip, random, others)
    made, part = bytearray(clip), random.choice(parts)
    length = part.end - part.body
    with_length(made, part, random.choice((length - 1, length + 1, length * 2, length // 2, len(clip), *EXTREMES)))
    return bytes(made)


def edit_header(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One number of a small part becomes an extreme one: sizes, counts, time scales, durations. The structure stays."""
    parts = [part for part in parts_of(clip) if 0 < part.end - part.body <= HEADER_BYTES]
    made = bytearray(clip)
    for _ in range(random.choice((1, 1, 2))):
        part = random.choice(parts) if parts else Part(0, 0, min(64, len(clip)))
        width = random.choice((1, 2, 4, 8))
        at = part.body + random.randrange(max(1, part.end - part.body - width + 1))
        value = random.choice((*EXTREMES, random.getrandbits(64))) % (1 << 8 * width)
        made[at : at + width] = value.to_bytes(width, random.choice(("big", "little")))[: len(made) - at]
    return bytes(made)


def remove_part(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """And its parents know."""
    parts = parts_of(clip)[1:]
    if not parts:
        return truncate(clip, random, others)
    made, part = bytearray(clip), random.choice(parts)
    grown(made, part, part.start - part.end)
    del made[part.start : part.end]
    return bytes(made)


def repeat_part(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    parts = parts_of(clip)[1:]
    if not parts:
        return append_junk(clip, random, others)
    made, part = bytearray(clip), random.choice(parts)
    times = random.choice((1, 1, 3, 200)) if part.end - part.start < 2000 else 1
    grown(made, part, times * (part.end - part.start))
    made[part.end : part.end] = clip[part.start : part.end] * times
    return bytes(made)


def swap_parts(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    parts = parts_of(clip)
    if len(parts) < 3:
        return splice(clip, random, others)
    first, second = sorted(random.sample(parts, 2), key=lambda part: part.start)
    if second.start < first.end:
        return remove_part(clip, random, others)
    between = clip[first.end : second.start]
    return clip[: first.start] + clip[second.start : second.end] + between + clip[first.start : first.end] + clip[second.end :]


def edit_dicom(clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """One element gets another value, with its length right; another VR; or another tag."""
    parts = [part for part in parts_of(clip) if clip[128:132] == b"DICM" and part.end - part.body < HEADER_BYTES]
    if not parts:
        return edit_header(clip, random, others)
    made, part = bytearray(clip), random.choice(parts)
    what = random.randrange(3)
    if what == 0:
        value = random.choice((*DICOM_TEXTS, random.randbytes(4), b"\xff" * 8))
        value += b" " * (len(value) % 2)
        with_length(made, part, len(value))
        made[part.body : part.end] = value
    elif what == 1:
        made[part.start + 4 : part.start + 6] = random.choice((b"SQ", b"UN", b"OB", b"US", b"FD", b"PN", b"AT", b"ZZ", b"\x00\x00"))
    else:
        tag = random.choice(
            (b"\x28\x00\x10\x00", b"\x28\x00\x08\x00", b"\xe0\x7f\x10\x00", b"\xfe\xff\x00\xe0", b"\x02\x00\x10\x00", random.randbytes(4))
        )
        made[part.start : part.start + 4] = tag
    return bytes(made)


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "bits flipped": (flip_bits,),
    "run of bytes": (overwrite_run,),
    "truncated": (truncate,),
    "spliced": (splice,),
    "junk behind": (append_junk,),
    "length field": (edit_length,),
    "extreme header": (edit_header,),
    "part removed": (remove_part,),
    "part repeated": (repeat_part,),
    "parts swapped": (swap_parts,),
    "DICOM element": (edit_dicom,),
    "several at once": (),
}
"""By the name in the table. "Several at once" is two to four of the others, one after the other."""


def mutated(kind: str, clip: bytes, random: Random, others: Sequence[bytes]) -> bytes:
    """Never empty."""
    singles = [single for group in MUTATIONS.values() for single in group]
    for mutate in MUTATIONS[kind] or random.choices(singles, k=random.randint(2, 4)):
        clip = mutate(clip, random, others) or b"\x00"
    return clip


def _place(clip: bytes | bytearray, random: Random) -> int:
    """Half of the time near the beginning, where the headers are."""
    return random.randrange(min(len(clip), 600) if random.random() < 0.5 else len(clip))
