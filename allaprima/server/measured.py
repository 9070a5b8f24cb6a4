"""What the server counts, for Prometheus: pictures, seconds, clients, queues, refusals. Never a state, a text or an address."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from allaprima.runtime.pacing import Watch
from allaprima.server.context import Studio

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class Measured:
    """The counters of one application, in a registry of its own."""

    def __init__(self, names: Iterable[str]) -> None:
        self.registry = CollectorRegistry()
        label = ["model"]
        self._pictures = Counter("allaprima_pictures", "Pictures painted.", label, registry=self.registry)
        self._seconds = Histogram(
            "allaprima_batch_seconds",
            "Time to paint and encode a batch.",
            label,
            registry=self.registry,
            buckets=SECONDS,
        )
        self._clients = Gauge("allaprima_clients", "Live clients connected.", label, registry=self.registry)
        self._waiting = Gauge("allaprima_waiting", "Single pictures that wait.", label, registry=self.registry)
        self.refused = Counter("allaprima_refused", "Requests refused because too many wait.", registry=self.registry)
        for name in names:  # from the start, so that a rate can be taken
            for one in (self._pictures, self._seconds, self._clients, self._waiting):
                one.labels(name)

    def watch(self, name: str) -> Watch:
        """What a pacer tells of its batches."""

        def told(pictures: int, seconds: float) -> None:
            self._pictures.labels(name).inc(pictures)
            self._seconds.labels(name).observe(seconds)

        return told

    def text(self, studios: Iterable[Studio]) -> bytes:
        """Prometheus' text format."""
        for studio in studios:
            self._clients.labels(studio.name).set(studio.pacer.clients)
            self._waiting.labels(studio.name).set(studio.pacer.waiting)
        return generate_latest(self.registry)
