"""Many clips at once, read for real: those that are taken are answered, those that are not are told when to come back."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.fakes import media
from tests.fakes.phantoms import small_phantom
from tests.fakes.service import is_ready, serving, shipped_reader


def test_sixty_four_clips_at_once_on_a_small_queue_are_answered_or_told_when_to_come_back() -> None:
    clip = media.mp4(small_phantom("present", 2.2).frames)
    with serving(shipped_reader(), max_queued=4) as client:
        assert is_ready(client)
        url = client.base_url.join("/v1/predict?saliency=none")
        with ThreadPoolExecutor(64) as threads:
            answers = list(threads.map(lambda _: httpx.post(url, content=clip, timeout=60, trust_env=False), range(64)))

        statuses = Counter(answer.status_code for answer in answers)
        refused = [answer for answer in answers if answer.status_code == 429]
        assert set(statuses) == {200, 429}
        assert all(1 <= int(answer.headers["retry-after"]) <= 120 for answer in refused)
        assert len({answer.json()["lung_sliding"]["probability"] for answer in answers if answer.status_code == 200}) == 1
        assert client.post("/v1/predict?saliency=none", content=clip).status_code == 200
