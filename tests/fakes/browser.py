"""Chromium without a window, driven over the DevTools pipe it brings along: no driver program, no package, no open port.

The protocol (chromedevtools.github.io/devtools-protocol): JSON messages that end in a NUL byte, commands on the browser's file
descriptor 3, answers and events on 4.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--mute-audio", "--window-size=1280,1600"),
    "--no-sandbox",  # its sandbox does not run as root, as in a container; it opens this machine's own page alone
)
ANSWER_WITHIN_S = 60.0
LEAVES_PAGE = ("Inspected target navigated or closed", "Cannot find context with specified id", "Execution context was destroyed")


def executable() -> str | None:
    """Chromium's path, where it is installed."""
    return next((path for path in map(shutil.which, NAMES) if path is not None), None)


class LeavesPageError(Exception):
    """The page was left while it was asked: what it would have answered is gone with it."""


class Page:
    """One tab. `problems` lists what its console called an error: exceptions, blocked scripts, files not found."""

    def __init__(self, send_fd: int, receive_fd: int) -> None:
        self._send_fd, self._receive_fd = send_fd, receive_fd
        self._received = b""
        self._num_calls = 0
        self._session: str | None = None
        self.problems: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Page", "DOM"):
            self.call(f"{domain}.enable")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def choose_file(self, selector: str, *paths: Path) -> None:
        """As a person does in the dialog that the browser opens."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(path) for path in paths], nodeId=node)

    def press(self, key: str) -> None:
        """One key, as on the keyboard: "a", "ArrowRight", "Escape", "Enter"."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, text="\r" if key == "Enter" else "")

    def click(self, selector: str) -> None:
        """In the middle of it, with the mouse."""
        self.drag(selector, (0.5, 0.5))

    def drag(self, selector: str, *places: tuple[float, float]) -> None:
        """The mouse is pressed at the first place of an element, moved to the others and let go; shares of its width and height."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.value(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        points = [{"x": box["x"] + across * box["width"], "y": box["y"] + down * box["height"]} for across, down in places]
        mouse = {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", buttons=1, **points[0], **mouse)
        for point in points[1:]:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", buttons=1, **point, **mouse)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", buttons=0, **points[-1], **mouse)

    def text(self, selector: str) -> str:
        """What can be seen of it; "" when it is hidden."""
        return str(self.value(f"document.querySelector({json.dumps(selector)}).innerText"))

    def is_shown(self, selector: str) -> bool:
        return bool(self.value(f"document.querySelector({json.dumps(selector)}).checkVisibility()"))

    def value(self, expression: str) -> Any:
        """Of an expression in JavaScript."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = ANSWER_WITHIN_S) -> None:
        end_s = time.monotonic() + seconds
        while not self._is_true_by_now(expression):
            assert time.monotonic() < end_s, f"not within {seconds:g} s: {expression}; problems: {self.problems}"
            time.sleep(0.05)

    def _is_true_by_now(self, expression: str) -> bool:
        """Not while one page makes room for the next, as after a click that loads it."""
        try:
            return bool(self.value(expression))
        except LeavesPageError:
            return False

    def call(self, method: str, **parameters: Any) -> Any:
        self._num_calls += 1
        message: dict[str, Any] = {"id": self._num_calls, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._send_fd, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._num_calls:
                if any(said in answer.get("error", {}).get("message", "") for said in LEAVES_PAGE):
                    raise LeavesPageError(method)
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._note(answer)

    def _receive(self) -> dict[str, Any]:
        end_s = time.monotonic() + ANSWER_WITHIN_S
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._receive_fd], [], [], max(0.0, end_s - time.monotonic()))
            data = os.read(self._receive_fd, 1 << 16) if ready else b""
            assert data, "Chromium ended, or does not answer"
            self._received += data
        message, _, self._received = self._received.partition(b"\0")
        event: dict[str, Any] = json.loads(message)
        return event

    def _note(self, event: dict[str, Any]) -> None:
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(str(parameters["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            address = parameters["entry"].get("url", "")
            if not address.endswith("/favicon.ico"):  # which the browser asks for by itself, beside what is no page
                self.problems.append(f"{parameters['entry']['text']} {address}")


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """A browser with an empty profile in `profile`."""
    path = executable()
    assert path is not None
    commands_out, commands_in = _pipe()
    answers_out, answers_in = _pipe()
    places = [(os.POSIX_SPAWN_DUP2, commands_out, 3), (os.POSIX_SPAWN_DUP2, answers_in, 4)]
    log = os.open(profile / "stderr", os.O_WRONLY | os.O_CREAT)
    places += [(os.POSIX_SPAWN_DUP2, log, 1), (os.POSIX_SPAWN_DUP2, log, 2)]
    environment = {**os.environ, "HOME": str(profile)}
    pid = os.posix_spawn(path, [path, *FLAGS, f"--user-data-dir={profile}", "about:blank"], environment, file_actions=places, setsid=True)
    for fd in (commands_out, answers_in, log):
        os.close(fd)
    try:
        yield Page(commands_in, answers_out)
    finally:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(commands_in)
        os.close(answers_out)


def _pipe() -> tuple[int, int]:
    """Its two ends, above the numbers that the browser's own ends are put on."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10) for fd in ends)
    for fd in ends:
        os.close(fd)
    return high[0], high[1]
