"""Input number n of a run: which clip, what was done to it, how and where it is sent. A function of the seed, n and the corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.soak.bombs import every_bomb
from tests.soak.manners import BODY, IMPROPER, PROPER, SLOW, Errand, Manner
from tests.soak.mutations import MUTATIONS, mutated
from tests.soak.seeds import Seed

PREDICT, JOB, STOW, SOUND = "POST /v1/predict", "POST /v1/jobs", "POST /dicom-web/studies", "sound clip"
SENT = "sent: "
"""Before the name of the manner, where that is what is wrong."""
SHARES = {"sound": 0.01, "bomb": 0.004, "slow": 0.001, "improper": 0.08}
"""Of all inputs; the rest are mutated clips."""
JOB_SHARE, STOW_SHARE, DRAWN_SHARE = 0.05, 0.25, 0.06
"""STOW's is of the DICOM objects."""
ACCEPTS = ("video/mp4", "application/pdf", "application/x-npz", "application/dicom")
NEW_SHARE = 0.3
"""Of the mutated clips that are made from those that showed something new."""


@dataclass(frozen=True, slots=True)
class Input:
    number: int
    kind: str
    """As the table names it."""
    seed: str
    target: str
    errand: Errand
    manner: Manner
    content: bytes
    is_dicom: bool

    @property
    def is_sound(self) -> bool:
        return self.target == SOUND


class Corpus:
    """The sound clips, and mutated ones that were answered as none before: mutated again, they reach what the sound ones do not."""

    MAX_NEW = 400

    def __init__(self, seeds: Sequence[Seed]) -> None:
        self.seeds = tuple(seeds)
        self.new: list[Seed] = []
        self._seen: set[tuple[str, str, str]] = set()

    def learn(self, sent: Input, outcome: str, detail: str) -> None:
        """Numbers in a sentence are not news."""
        shape = sent.seed, outcome, "".join(character for character in detail if not character.isdigit())
        if shape in self._seen or sent.kind not in MUTATIONS:
            return
        self._seen.add(shape)
        if len(self.new) < self.MAX_NEW:
            self.new.append(Seed(sent.seed, sent.content, sent.is_dicom))

    def pick(self, random: Random) -> Seed:
        return random.choice(self.new) if self.new and random.random() < NEW_SHARE else random.choice(self.seeds)


def make_input(seed: int, number: int, corpus: Corpus, sound: Seed) -> Input:
    random = Random(f"{seed}/{number}")
    share = random.random()
    for kind, up_to in SHARES.items():
        share -= up_to
        if share < 0:
            return _special(kind, number, random, corpus, sound)
    kind, clip = random.choice(list(MUTATIONS)), corpus.pick(random)
    content = mutated(kind, clip.content, random, [other.content for other in corpus.seeds])
    target, errand = _target(random, clip)
    return Input(number, kind, clip.name, target, errand, random.choice(PROPER) if target == PREDICT else BODY, content, clip.is_dicom)


def _special(kind: str, number: int, random: Random, corpus: Corpus, sound: Seed) -> Input:
    predict = Errand("/v1/predict?saliency=none")
    if kind == "sound":
        return Input(number, "sound clips between", sound.name, SOUND, predict, random.choice(PROPER), sound.content, sound.is_dicom)
    if kind == "bomb":
        bomb = random.choice(every_bomb())
        target, errand = _target(random, bomb)
        return Input(number, "decodes to much", bomb.name, target, errand, BODY, bomb.content, bomb.is_dicom)
    clip = corpus.pick(random)
    if kind == "slow":
        return Input(number, "slow upload", clip.name, PREDICT, predict, SLOW, clip.content, clip.is_dicom)
    name, manner = random.choice(list(IMPROPER.items()))
    return Input(number, f"{SENT}{name}", clip.name, PREDICT, predict, manner, clip.content, clip.is_dicom)


def _target(random: Random, clip: Seed) -> tuple[str, Errand]:
    if clip.is_dicom and random.random() < STOW_SHARE:
        return STOW, Errand("/dicom-web/studies", media_type="application/dicom")
    if random.random() < JOB_SHARE:
        return JOB, Errand(f"/v1/jobs?saliency={random.choice(('none', 'vanilla'))}")
    accept = random.choice(ACCEPTS) if random.random() < DRAWN_SHARE else "*/*"
    return PREDICT, Errand(f"/v1/predict?saliency={random.choice(('none', 'none', 'none', 'vanilla'))}", accept)
