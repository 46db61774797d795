"""What must be so before the service listens to more than its own machine."""

from ipaddress import ip_address

from service.settings import Settings


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def objections(settings: Settings, *, is_guarded: bool) -> list[str]:
    """Why it must not listen as the settings say, a sentence each with what to do; none when it may."""
    if is_loopback(settings.host):
        return []
    found = []
    if not is_guarded and not settings.allow_keyless:
        found.append(
            f"Whoever reaches {settings.host} could use this service, for nobody needs a key. Make one with `seashore keys add NAME`, or "
            "set SEASHORE_OIDC_ISSUER; SEASHORE_ALLOW_KEYLESS=true says that this is meant."
        )
    if settings.tls_certificate is None and not settings.allow_plaintext:
        found.append(
            f"Clips and keys would cross the network to {settings.host} unencrypted. Set SEASHORE_TLS_CERTIFICATE; "
            "SEASHORE_ALLOW_PLAINTEXT=true says that a proxy in front ends TLS."
        )
    return found
