"""A hospital's sign-on: an issuer that publishes its keys over HTTP as OpenID Connect Discovery 1.0 says, and tokens of it."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "seashore"
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


class Issuer(ThreadingHTTPServer):
    """Publishes its keys; counts who asks."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Pages)
        self.num_asked = 0
        self.says = self.address
        self.jwks = [
            json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key())) | {"kid": "rsa"},
            json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key())) | {"kid": "ec"},
        ]

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Pages(BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        self.server.num_asked += self.path == "/keys"
        pages: dict[str, Any] = {
            "/.well-known/openid-configuration": {"issuer": self.server.says, "jwks_uri": f"{self.server.address}/keys"},
            "/keys": {"keys": self.server.jwks},
        }
        content = json.dumps(pages[self.path]).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def issuing() -> Iterator[Issuer]:
    with Issuer() as issuer:
        thread = threading.Thread(target=issuer.serve_forever, args=(0.01,))
        thread.start()
        yield issuer
        issuer.shutdown()
        thread.join()


def token(issuer: Issuer, key: Any = RSA_KEY, kid: str = "rsa", algorithm: str = "RS256", **claims: Any) -> str:
    said = {
        "iss": issuer.address,
        "aud": AUDIENCE,
        "sub": "dr.novak",
        "exp": time.time() + 300,
        "scope": "openid seashore.predict",
    } | claims
    return jwt.encode({name: value for name, value in said.items() if value is not None}, key, algorithm, {"kid": kid})
