"""Other nodes that behave badly, on loopback: ports that say nothing or the wrong thing, archives that refuse, web services that lie."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from service.pacs.site import Node, Web

ABORT = bytes([7, 0, 0, 0, 0, 4, 0, 0, 2, 0])
"""A-ABORT PDU (PS3.8 9.3.8), by the service provider."""

PATIENCE_S = 20.0
"""Time limit of what is expected to succeed, or to fail for another reason than time: a machine that stands still for a second or two
does not change the outcome. No test waits that long, unless something is broken."""

IMPATIENCE_S = 1.0
"""Time limit where running out of it is what is tested."""

Behaviour = Callable[[socket.socket], None]
Reply = tuple[int, dict[str, str], bytes]


def node(port: int, **fields: Any) -> Node:
    return Node(ae_title="ARCHIVE", address="127.0.0.1", port=port, **fields)


# Ports


def say_nothing(connection: socket.socket) -> None:
    """Until the other side gives up."""
    while connection.recv(2**16):
        pass


def abort(connection: socket.socket) -> None:
    connection.recv(2**16)
    connection.sendall(ABORT)


def reject_as_full(connection: socket.socket) -> None:
    """Transient, by the service provider, local limit exceeded."""
    connection.recv(2**16)
    connection.sendall(bytes([3, 0, 0, 0, 0, 4, 0, 2, 3, 2]))
    say_nothing(connection)


def hang_up(connection: socket.socket) -> None:
    """At once."""


@contextmanager
def port_that(behave: Behaviour) -> Iterator[int]:
    """A listening port; each connection is dealt with in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, behave), daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, behave: Behaviour) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(connection, behave), daemon=True).start()


def _serve(connection: socket.socket, behave: Behaviour) -> None:
    with connection, suppress(OSError):
        behave(connection)


# Archives


@contextmanager
def archive(
    answer: Callable[[evt.Event], int] = lambda event: 0,
    *,
    entity: AE | None = None,
    is_choosy: bool = False,
    tls: ssl.SSLContext | None = None,
    **handlers: Any,
) -> Iterator[int]:
    """Answers C-STORE with what `answer` gives; `handlers` by the name of an event: EVT_C_ECHO... Takes every kind of object, or, when
    choosy, only what `entity` supports."""
    ae = entity or AE("ARCHIVE")
    if not is_choosy:
        for context in AllStoragePresentationContexts:
            ae.add_supported_context(str(context.abstract_syntax), ALL_TRANSFER_SYNTAXES)
    ae.add_supported_context(Verification)
    bound: list[Any] = [(evt.EVT_C_STORE, answer), *((getattr(evt, name), handler) for name, handler in handlers.items())]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound, ssl_context=tls)
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def stop_reading(after_pdus: int, for_s: float) -> dict[str, Any]:
    """For `archive`: it takes some of an object, and then no more for a while."""
    seen = [0]

    def received(event: evt.Event) -> None:
        seen[0] += 1
        if seen[0] == after_pdus:
            time.sleep(for_s)

    return {"EVT_PDU_RECV": received}


def close_connection(after_pdus: int) -> dict[str, Any]:
    """For `archive`: it is gone in the middle of an object."""
    seen = [0]

    def received(event: evt.Event) -> None:
        seen[0] += 1
        if seen[0] == after_pdus:
            connection: Any = event.assoc.dul.socket
            connection.socket.shutdown(socket.SHUT_RDWR)

    return {"EVT_PDU_RECV": received}


# Web services


@contextmanager
def web_service(reply: Callable[[BaseHTTPRequestHandler, bytes], Reply]) -> Iterator[Web]:
    """Answers every request with what `reply` makes of it and its body."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, headers, content = reply(self, body)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A caller that has hung up is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield Web(url=f"http://127.0.0.1:{server.server_port}/dicom-web")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


# Certificates


def certificate(folder: Path, name: str, address: str = "127.0.0.1") -> tuple[Path, Path]:
    """Signed by itself, for one address. Gives certificate and key."""
    made, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(made), "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{address}"]
    subprocess.run(command, check=True, capture_output=True)
    return made, key
