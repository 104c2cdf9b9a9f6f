"""Which addresses there are, and which anybody may be let connect to: those of the public Internet."""

import ipaddress
from urllib.parse import SplitResult, urlsplit

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Public by their registration, and yet a cloud's inside: metadata of Oracle and of Azure.
_INSIDE_CLOUDS = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("168.63.129.16/32"))


def web_address(url: str) -> tuple[SplitResult, str]:
    """Its parts, and its host. Raises ValueError in words that go on from its name, where it is none."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"cannot be read: {error}") from error
    if parts.scheme not in ("https", "http") or not host or not url.isprintable() or " " in url:
        raise ValueError("is no address of the web")
    return parts, host


def is_public(address: str) -> bool:
    """Whether it is an IP address that the whole Internet may reach. IPv6 addresses that carry an IPv4 one (mapped,
    6to4, NAT64) count as that one."""
    try:
        ip = _carried(ipaddress.ip_address(address))
    except ValueError:
        return False
    if any(ip.version == inside.version and ip in inside for inside in _INSIDE_CLOUDS):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or getattr(ip, "is_site_local", False))


def is_inside(host: str) -> bool:
    """Whether it is a name or a literal address that cannot be public; other names are not looked up here."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return not is_public(name)


def _carried(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
