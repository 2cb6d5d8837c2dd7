"""Fetching an address that a stranger names: public ones only, checked where it is connected.

The name is looked up once, all its addresses are checked, and the connection goes to one of
these, so that a name cannot mean another machine a moment later. A redirect is checked anew.
"""

import http.client
import ipaddress
import socket
import ssl
import time
from urllib.parse import urljoin, urlsplit

from .errors import RequestError

_MAX_REDIRECTS = 3
_TIMEOUT_S = 20.0
_BLOCK = 2**16
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def fetch(url: str, *, max_bytes: int) -> bytes:
    """What lies at an http(s) address.

    Raises:
        RequestError: the address is not public, does not answer, or holds too much.
    """
    until = time.monotonic() + _TIMEOUT_S
    for _ in range(_MAX_REDIRECTS + 1):
        try:
            found = _get(url, max_bytes, until)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise RequestError(f"{url[:200]} cannot be fetched: {error}.") from error
    raise RequestError(f"The address redirects more than {_MAX_REDIRECTS} times.")


def is_public(address: str) -> bool:
    """Whether an address is on the open internet, and so is one that it carries inside."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inside: list[ipaddress.IPv4Address | None] = []
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return is_public(str(ip.ipv4_mapped))
        if ip.is_site_local:
            return False
        inside = [ip.sixtofour, *(ip.teredo or ())]
        if ip in _NAT64:
            inside.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    is_open = ip.is_global and not ip.is_multicast
    return is_open and all(is_public(str(each)) for each in inside if each is not None)


def _get(url: str, max_bytes: int, until: float) -> bytes | str:
    """The content, or where it redirects."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError("Only http and https addresses are fetched.")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(is_public(address) for address in addresses):
        raise RequestError(f"{parts.hostname} is not a public address, so it is not fetched.")
    connection = http.client.HTTPConnection(parts.hostname, port, timeout=_TIMEOUT_S)
    plain = socket.create_connection((addresses[0], port), timeout=_TIMEOUT_S)
    with plain:
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection.sock = context.wrap_socket(plain, server_hostname=parts.hostname)
        else:
            connection.sock = plain
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", target, headers={"User-Agent": "latentvlm"})
        response = connection.getresponse()
        where = response.headers.get("Location")
        if response.status in (301, 302, 303, 307, 308) and where:
            return where
        if response.status != 200:
            raise RequestError(f"{url[:200]} answers with status {response.status}.")
        return _read(response, max_bytes, until)


def _read(response: http.client.HTTPResponse, max_bytes: int, until: float) -> bytes:
    data = bytearray()
    while block := response.read1(_BLOCK):
        data += block
        if len(data) > max_bytes:
            raise RequestError(f"The address holds more than {max_bytes:,} bytes.", 413)
        if time.monotonic() > until:
            raise RequestError("The address takes too long to answer.", 408)
    return bytes(data)
