"""A line of the log is one line, says what it is about, and repeats no message that may quote a patient."""

import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from service.logs import FIELDS, JsonLines, TextLines, about, known


@contextmanager
def lines(form: logging.Formatter) -> Iterator[tuple[logging.Logger, io.StringIO]]:
    """A logger of its own that writes so, and what it wrote."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(form)
    log = logging.getLogger("seashore.test")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.addHandler(handler)
    yield log, written
    log.removeHandler(handler)


def test_a_line_of_text_ends_with_what_it_is_about() -> None:
    with lines(TextLines()) as (log, written), about(request="4f2a", owner="ward-3"):
        log.info("job %s: queued", "77")

    assert written.getvalue().endswith(" INFO seashore.test: job 77: queued [request=4f2a owner=ward-3]\n")


def test_a_line_of_json_is_an_object_with_the_same_and_its_own_fields() -> None:
    with lines(JsonLines()) as (log, written), about(request="4f2a"), about(job="77"):
        log.info("POST: %d", 200, extra={FIELDS: {"status": 200}})

    line = json.loads(written.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        **{"level": "info", "logger": "seashore.test", "message": "POST: 200"},
        **{"request": "4f2a", "job": "77", "status": 200},
    }


def test_what_a_line_is_about_ends_with_the_work() -> None:
    with about(request="4f2a"):
        assert known("request") == "4f2a"

    assert known("request") is None


def test_another_thread_does_not_know_it_unless_it_is_told() -> None:
    with about(request="4f2a"), ThreadPoolExecutor(1) as thread:
        assert thread.submit(known, "request").result() is None


def test_an_exception_is_told_by_class_and_place_not_by_its_message() -> None:
    for form in (TextLines(), JsonLines()):
        with lines(form) as (log, written):
            try:
                raise ValueError("Doe^Jane")
            except ValueError:
                log.exception("it broke")

        assert "it broke" in written.getvalue()
        assert "ValueError in test_an_exception_is_told" in written.getvalue()
        assert "Doe" not in written.getvalue()


def test_a_record_is_one_line_whatever_is_in_it() -> None:
    for form in (TextLines(), JsonLines()):
        with lines(form) as (log, written):
            log.info("first\r\n2026-01-02 INFO root: second")

        assert written.getvalue().count("\n") == 1
        assert "\r" not in written.getvalue()
