"""One visit of each kind: what is sent, how long the sender stays, and what is to be said of the answer."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

from tests.soak.answers import Findings, difference, findings
from tests.soak.asking import Answer, ask
from tests.soak.crowd import GARBAGE, GOOD, HALF, JOB, LEAVES, MOST_PATIENT_S, STALLS, Arrival
from tests.soak.inputs import Corpus, make_input
from tests.soak.manners import IMPROPER, PROPER, SLOW, Errand, Manner, as_body
from tests.soak.seeds import Seed
from tests.soak.sending import Sent

PREDICT = Errand("/v1/predict?saliency=none")
PATIENCE_S = 90.0
"""Longer than the service's deadline: it must answer by itself."""
AS_DOCUMENTED = (200, 429, 503, 504)
"""What a good clip may be answered."""
RETURNING = "good clip, come back"


@dataclass(frozen=True, slots=True)
class Visit:
    kind: str
    at_s: float
    """Since the load began."""
    status: int
    outcome: str
    answer_s: float
    wrong: str = ""
    """What must not be; empty where all is well."""
    told_s: float | None = None
    """To come back in."""


@dataclass(frozen=True, slots=True)
class Handed:
    """A job that was accepted."""

    location: str
    clip: str
    """Of the sound ones; empty for garbage, of which only an end is expected."""
    at_s: float


class Crowd:
    """What visitors share. Visits come from many threads at once."""

    def __init__(self, port: int, seed: int, clips: Sequence[Seed], expected: Mapping[str, Findings], corpus: Corpus) -> None:
        self._port = port
        self._seed = seed
        self._clips = clips
        self.expected = expected
        self._corpus = corpus
        self._began_s = time.monotonic()
        self._is_over = threading.Event()
        self.visits: list[Visit] = []
        self.handed: list[Handed] = []
        self.num_not_returned = 0
        """Told to come back after the load's end."""

    @property
    def now_s(self) -> float:
        return time.monotonic() - self._began_s

    def begin(self) -> None:
        self._began_s = time.monotonic()

    def end(self) -> None:
        """Nobody comes back any more."""
        self._is_over.set()

    def visit(self, arrival: Arrival) -> None:
        random = Random(f"{self._seed}/{arrival.number}")
        if arrival.kind == GOOD:
            self._good(arrival, random)
        elif arrival.kind == JOB:
            self._job(arrival, random)
        elif arrival.kind == GARBAGE:
            self._garbage(arrival, random)
        else:
            self._rude(arrival, random)

    def good(self, clip: Seed, random: Random, kind: str = GOOD) -> Visit:
        """One good clip, one answer."""
        at_s = self.now_s
        answer = self._ask(random.choice(PROPER), PREDICT, clip.content, random)
        return _visit(kind, at_s, answer, self.wrong(clip, answer))

    def _good(self, arrival: Arrival, random: Random) -> None:
        clip = random.choice(self._clips)
        first = self.good(clip, random)
        self.visits.append(first)
        if first.told_s is None:
            return
        if self._is_over.wait(first.told_s):
            self.num_not_returned += 1
        else:
            self.visits.append(self.good(clip, random, RETURNING))

    def wrong(self, clip: Seed, answer: Answer) -> str:
        """What must not be of an answer to a good clip; empty where it may."""
        if answer.status not in AS_DOCUMENTED:
            return answer.outcome
        if answer.status in (429, 503) and not answer.retry_after_s:
            return f"a {answer.status} without Retry-After"
        where = difference(findings(answer.content), self.expected[clip.name]) if answer.status == 200 else ""
        return f"answered otherwise: {where}" if where else ""

    def _job(self, arrival: Arrival, random: Random) -> None:
        clip, at_s = random.choice(self._clips), self.now_s
        marked = of_its_own(clip, arrival.number)
        errand = Errand(f"/v1/jobs?saliency=none&awaited={random.choice(('true', 'false'))}")
        answer = self._ask(random.choice(PROPER), errand, marked, random)
        if answer.status in (200, 202):
            self.handed.append(Handed(answer.location, clip.name, at_s))
        self.visits.append(_visit(JOB, at_s, answer, "" if answer.status in (200, 202, 429, 503, 504) else answer.outcome))

    def _garbage(self, arrival: Arrival, random: Random) -> None:
        at_s = self.now_s
        made = make_input(self._seed, arrival.number, self._corpus, self._clips[0])
        wire = made.manner.send(made.errand, made.content, random)
        answer = ask(self._port, wire, patience_s=PATIENCE_S, breaks_off=made.manner.is_cut_off)
        if answer.status in (200, 202) and answer.location:
            self.handed.append(Handed(answer.location, "", at_s))
        wrong = Sent(replace(made, content=b""), answer).wrong
        self.visits.append(_visit(GARBAGE, at_s, answer, "" if answer.status == 503 and answer.retry_after_s else wrong))

    def _rude(self, arrival: Arrival, random: Random) -> None:
        clip, at_s = random.choice(self._clips), self.now_s
        manner = {HALF: IMPROPER["half an upload"], LEAVES: Manner(as_body, is_cut_off=True), STALLS: SLOW}[arrival.kind]
        stays_s = random.uniform(0.0, MOST_PATIENT_S if arrival.kind == LEAVES else 0.2)
        wire = manner.send(PREDICT, clip.content, random)
        answer = ask(self._port, wire, patience_s=PATIENCE_S, breaks_off=manner.is_cut_off, leaves_after_s=stays_s)
        is_bad = answer.status >= 500 and answer.status not in AS_DOCUMENTED
        self.visits.append(_visit(arrival.kind, at_s, answer, answer.outcome if is_bad else ""))

    def _ask(self, manner: Manner, errand: Errand, content: bytes, random: Random) -> Answer:
        return ask(self._port, manner.send(errand, content, random), patience_s=PATIENCE_S)


def of_its_own(clip: Seed, number: int) -> bytes:
    """The same clip with a part behind it that no decoder looks at: other bytes, another job."""
    mark = b"%012d" % number
    if clip.is_dicom:
        # Data Set Trailing Padding, FFFC,FFFC, OB (PS3.10 7.2)
        return clip.content + b"\xfc\xff\xfc\xffOB\x00\x00" + len(mark).to_bytes(4, "little") + mark
    if clip.content[4:8] == b"ftyp":
        return clip.content + (8 + len(mark)).to_bytes(4, "big") + b"free" + mark
    return clip.content + b"\xec" + bytes([0x80 + len(mark)]) + mark  # Void of Matroska (RFC 9559 5.1.1)


def _visit(kind: str, at_s: float, answer: Answer, wrong: str) -> Visit:
    told_s = answer.retry_after_s if answer.status in (429, 503) else None
    return Visit(kind, at_s, answer.status, answer.outcome, answer.answer_s, wrong, told_s)
