"""From which network address a request comes: one answer for limits, sign-in and the audit."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "unknown"


def address_of(request: HttpRequest) -> str:
    """The client's address as text, `unknown` when there is none to believe.

    With TRUSTED_PROXY_COUNT n, the n-th entry from the end of X-Forwarded-For: what our own proxies wrote. Whatever
    a client puts in front of it is ignored, and without trusted proxies so is the whole header. A request with fewer
    entries did not come through all of them (a health check from inside) and is known by its connection.
    """
    proxies = settings.TRUSTED_PROXY_COUNT
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if proxies else []
    believed = hops[-proxies] if proxies and len(hops) >= proxies else ""
    return _clean(believed) or _clean(request.META.get("REMOTE_ADDR", "")) or UNKNOWN


def network_of(address: str) -> str:
    """What one household or machine has: the address itself, of IPv6 the first 64 bits, since it has all the rest."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(parsed) if parsed.version == 4 else str(ipaddress.ip_network((parsed, 64), strict=False))


def is_loopback(request: HttpRequest) -> bool:
    """Whether the request comes from this machine itself and passed no proxy."""
    if any(name.startswith(("HTTP_X_FORWARDED", "HTTP_FORWARDED")) for name in request.META):
        return False
    address = _clean(request.META.get("REMOTE_ADDR", ""))
    return bool(address) and ipaddress.ip_address(address).is_loopback


def _clean(text: str) -> str:
    """An address without port, brackets and zone; IPv4 written as IPv6 is IPv4. Empty when it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
