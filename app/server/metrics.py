"""Figures for Prometheus: of requests, and of the engine as it is when they are asked for."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ...vlm.answer import Answer
from ...vlm.engine import Engine

_GAUGES = ("waiting", "reading", "writing", "media_bytes")


class Metrics:
    """One server's figures."""

    def __init__(self, engine: Engine) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "latentvlm_requests",
            "Requests by endpoint and status.",
            ["endpoint", "status"],
            registry=self._registry,
        )
        self._visual = Counter(
            "latentvlm_visual_tokens",
            "Visual tokens of prompts, before and after reduction.",
            ["when"],
            registry=self._registry,
        )
        self._first = Histogram(
            "latentvlm_time_to_first_token_seconds",
            "From the request to its first token.",
            registry=self._registry,
        )
        self._registry.register(_EngineCollector(engine))

    def count(self, endpoint: str, status: int) -> None:
        self._requests.labels(endpoint, str(status)).inc()

    def answered(self, answer: Answer) -> None:
        self._first.observe(answer.timing.time_to_first_token_s)
        self._visual.labels("before").inc(answer.usage.visual_tokens_before)
        self._visual.labels("after").inc(answer.usage.visual_tokens)

    def text(self) -> bytes:
        return generate_latest(self._registry)


class _EngineCollector(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        for key, value in vars(self._engine.state()).items():
            kind = GaugeMetricFamily if key in _GAUGES else CounterMetricFamily
            yield kind(f"latentvlm_{key}", f"{key} of the engine", value=value)
