"""Scrapes of /metrics, taken apart."""

import http.client
import re
from dataclasses import dataclass, field

from .netns import Netns
from .peers import Address, connect

ADDRESS: Address = ("127.0.0.1", 9180)

_SAMPLE = re.compile(r'(\w+)(?:\{(.*)\})? (\S+)')
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass
class Scrape:
    """One page: its text, and the value of every sample."""

    text: str
    samples: dict[Key, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for line in self.text.splitlines():
            if line.startswith("#"):
                continue
            match = _SAMPLE.fullmatch(line)
            assert match, line
            name, labels, value = match.groups()
            key = (name, frozenset(_LABEL.findall(labels or "")))
            assert key not in self.samples, f"twice: {line}"
            self.samples[key] = float(value)

    def get(self, name: str, **labels: str) -> float | None:
        """The one sample of `name` whose labels include `labels`."""
        found = self.all(name, **labels)
        assert len(found) <= 1, f"{name} {labels}: {len(found)} samples"
        return found[0] if found else None

    def all(self, name: str, **labels: str) -> list[float]:
        """The values of all samples of `name` whose labels include `labels`."""
        wanted = set(labels.items())
        return [value for (other, has), value in self.samples.items()
                if other == name and wanted <= has]

    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _ in self.samples}


def request(netns: Netns, method: str = "GET", path: str = "/metrics",
            address: Address = ADDRESS) -> tuple[http.client.HTTPResponse, str]:
    """One request from inside `netns`; the response and its body."""
    peer = connect(netns, address)
    try:
        peer.send(f"{method} {path} HTTP/1.1\r\nHost: metrics\r\n\r\n".encode())
        response = http.client.HTTPResponse(peer.sock, method=method)
        response.begin()
        return response, response.read().decode()
    finally:
        peer.close()


def scrape(netns: Netns, address: Address = ADDRESS) -> Scrape:
    """A scrape from inside `netns`."""
    response, body = request(netns, address=address)
    assert response.status == 200, body
    return Scrape(body)
