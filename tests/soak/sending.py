"""Inputs sent, several at once, and what each came to."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tests.soak.asking import HUNG_UP, SILENT, Answer, ask
from tests.soak.inputs import JOB, SOUND, Corpus, Input, make_input
from tests.soak.seeds import Seed
from tests.soak.serving import call

ROUND = 500
"""Inputs between two looks at what was new. The first round of a seed is always the same."""
LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Limits:
    deadline_s: float
    margin_s: float = 5.0
    """On top of the deadline: of a machine that does something else as well."""

    @property
    def patience_s(self) -> float:
        return 2 * self.deadline_s + self.margin_s


@dataclass(frozen=True, slots=True)
class Sent:
    """An input without its bytes, and its answer without its own."""

    input: Input
    answer: Answer

    @property
    def wrong(self) -> str:
        """What must not be; empty where all is well."""
        status, code = self.answer.status, self.answer.code
        if status == SILENT:
            return "no answer"
        if status >= 500 and (status, code) != (504, "deadline_exceeded"):
            return f"a {status}"
        if status == HUNG_UP and not self.input.manner.may_be_hung_up:
            return "hung up"
        return ""


class Client:
    def __init__(self, port: int, limits: Limits, sound: Seed, *, seed: int, clients: int, keep: Path | None) -> None:
        self._port = port
        self._limits = limits
        self._sound = sound
        self._seed = seed
        self._clients = clients
        self._keep = keep
        self.num_inputs = 0
        self.sound_answers: dict[str, int] = {}

    def send_all(self, corpus: Corpus, num_inputs: int, until_s: float, tell: Callable[[int], None]) -> list[Sent]:
        """So many, or as many as there is time for."""
        sent: list[Sent] = []
        with ThreadPoolExecutor(self._clients) as threads:
            for start in range(0, num_inputs, ROUND):
                if time.monotonic() >= until_s:
                    break
                numbers = range(start, min(start + ROUND, num_inputs))
                for one in threads.map(lambda number: self.send(number, corpus), numbers):
                    corpus.learn(one.input, one.answer.outcome, one.answer.detail)
                    sent.append(replace(one, input=replace(one.input, content=b""), answer=replace(one.answer, content=b"")))
                tell(len(sent))
        return sent

    def send(self, number: int, corpus: Corpus) -> Sent:
        made = make_input(self._seed, number, corpus, self._sound)
        answer = self._asked(made, Random(number))
        if made.target == JOB and answer.location:
            answer = self._end_of_job(answer)
        if made.target == SOUND and answer.status == 200:
            probability = str(json.loads(answer.content)["lung_sliding"]["probability"])
            self.sound_answers[probability] = self.sound_answers.get(probability, 0) + 1
        self.num_inputs += 1
        sent = Sent(made, answer)
        if self._keep is not None and sent.wrong:
            keep(self._keep, sent, self._seed)
        return sent

    def _asked(self, made: Input, random: Random) -> Answer:
        wire = made.manner.send(made.errand, made.content, random)
        return ask(self._port, wire, patience_s=self._limits.patience_s, breaks_off=made.manner.is_cut_off)

    def _end_of_job(self, made: Answer) -> Answer:
        """Its result's, as if it had been asked for at once; the job is removed."""
        until_s = time.monotonic() + 4 * self._limits.patience_s
        answer = made
        while answer.code in ("queued", "running") and time.monotonic() < until_s:
            time.sleep(LOOK_EVERY_S)
            answer = self._call("GET", made.location)
        result = self._call("GET", f"{made.location}/result")
        self._call("DELETE", made.location)
        return result

    def _call(self, method: str, path: str) -> Answer:
        return call(self._port, method, path, patience_s=self._limits.patience_s)


def keep(folder: Path, sent: Sent, seed: int) -> None:
    """The clip, and how to send it again."""
    made = folder / f"{seed}-{sent.input.number:06d}"
    made.mkdir(parents=True, exist_ok=True)
    (made / "clip").write_bytes(sent.input.content)
    wire = [
        piece
        for piece in sent.input.manner.send(sent.input.errand, sent.input.content, Random(sent.input.number))
        if isinstance(piece, bytes)
    ]
    (made / "request").write_bytes(b"".join(wire))
    about = (
        f"{sent.wrong}: {sent.answer.outcome}, after {sent.answer.answer_s:.1f} s. {sent.answer.detail}\n"
        f"{sent.input.kind}, made from {sent.input.seed}; {sent.input.target}\n"
        f"Again: curl -H 'Accept: {sent.input.errand.accept}' --data-binary @clip 'http://127.0.0.1:8000{sent.input.errand.path}'\n"
        "or as it was on the wire: nc 127.0.0.1 8000 < request\n"
    )
    (made / "about.txt").write_text(about)
