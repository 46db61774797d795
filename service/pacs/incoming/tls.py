"""TLS of the listener (PS3.15 B.12, BCP 195). What we request of others is in `dimse`."""

import ssl

from service.errors import BadSite
from service.pacs.site import TLS


def server_context(tls: TLS) -> ssl.SSLContext:
    """At least TLS 1.2. With `ca`, whoever connects must show a certificate signed by it. Raises: BadSite."""
    if tls.certificate is None:
        raise BadSite("[receive.tls] needs certificate and key: they are what this side shows.")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise BadSite(
            "receive: tls.certificate and tls.key cannot be used. They must be PEM files of one pair, the key without a passphrase.",
            log_detail=type(error).__name__,
        ) from None
    if tls.ca is not None:
        _trust(context, tls)
    return context


def _trust(context: ssl.SSLContext, tls: TLS) -> None:
    try:
        context.load_verify_locations(tls.ca)
    except OSError as error:
        raise BadSite("receive: tls.ca cannot be used. It must be a PEM file of certificates.", log_detail=type(error).__name__) from None
    context.verify_mode = ssl.CERT_REQUIRED


def _no_passphrase() -> str:
    """Without this, OpenSSL asks at the terminal, and the service waits for ever."""
    raise ValueError
