"""The service and the browser that the tests of the pages share, one of each for a module."""

from collections.abc import Iterator

import httpx
import pytest

from tests.fakes.browser import Page, chromium
from tests.fakes.service import is_ready, serving, shipped_reader


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Of a service that reads with the shipped model, once it is ready."""
    with serving(shipped_reader(), data_dir=tmp_path_factory.mktemp("data")) as client:
        assert is_ready(client)
        yield client


@pytest.fixture(scope="module")
def browser_tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page
