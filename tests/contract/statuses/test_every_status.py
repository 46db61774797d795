"""Every status that the OpenAPI document promises is answered in a test of this folder. What is asked for is written in their tables."""

from pathlib import Path

from tests.api.test_health import StuckReader
from tests.contract.statuses import test_access, test_clips, test_pacs, test_trouble
from tests.contract.statuses.asking import OPERATIONS, Asked, answers, expected
from tests.fakes.service import WordReader, is_ready, serving_everything, wait_until

WELL = tuple(Asked(name, 200) for name in ("healthz", "readyz", "models", "metrics", "node"))
STUCK = (Asked("healthz", 503), Asked("readyz", 503))
TABLES = (
    *(WELL, STUCK),
    *(test_access.WITHOUT_A_KEY, test_access.WITHOUT_THEIR_SCOPE, test_access.KEYS_DAMAGED, test_access.TOO_MANY),
    *(test_access.NOT_SIGNED_IN, test_access.SIGNED_IN),
    *(test_clips.PREDICTED, test_clips.TOO_LARGE, test_clips.HANDED_IN, test_clips.OF_NO_JOB),
    *(test_trouble.NO_PLACE, test_trouble.STOPPING, test_trouble.NO_TIME, test_trouble.NO_ROOM, test_trouble.NO_LEDGER),
    *(test_pacs.STORED, test_pacs.STORED_TOO_SLOWLY, test_pacs.FETCHED, test_pacs.TOO_MANY_FETCHED),
    *(test_pacs.NO_ARCHIVE, test_pacs.RUN, test_pacs.NO_ROOM, test_pacs.NO_LEDGER),
)


def test_a_service_that_is_well_says_so(tmp_path: Path) -> None:
    with serving_everything(WordReader(), tmp_path) as client:
        assert is_ready(client)
        assert answers(client, WELL) == expected(WELL)


def test_a_service_that_is_stuck_says_so(tmp_path: Path) -> None:
    with serving_everything(StuckReader(), tmp_path) as client:
        assert wait_until(lambda: client.get("/readyz").json().get("code") == "engine_stuck", 60)
        assert answers(client, STUCK) == expected(STUCK)


def test_every_status_of_the_document_is_answered_in_a_test() -> None:
    promised = {(name, status) for name, operation in OPERATIONS.items() for status in operation.responses}

    assert {pair for table in TABLES for pair in expected(table)} == promised
