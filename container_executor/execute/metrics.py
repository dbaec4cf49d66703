"""What the daemon counts, in Prometheus' terms."""

import attrs
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


@attrs.define(eq=False)
class Metrics:
    """Counters of one daemon, in a registry of its own."""

    registry: CollectorRegistry = attrs.field(factory=CollectorRegistry)
    assigned: Counter = attrs.field(init=False)
    closed: Counter = attrs.field(init=False)
    left: Counter = attrs.field(init=False)
    live: Gauge = attrs.field(init=False)
    draining: Gauge = attrs.field(init=False)
    unknown_age: Gauge = attrs.field(init=False)
    stuck: Gauge = attrs.field(init=False)
    loop_lag: Histogram = attrs.field(init=False)
    run_seconds: Histogram = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        """Make the counters."""
        prefix, registry = "container_executor_", self.registry
        self.assigned = Counter(f"{prefix}processes_assigned", "Processes that the server gave us.", registry=registry)
        self.closed = Counter(
            f"{prefix}processes_closed", "Processes closed, by outcome.", ["outcome"], registry=registry
        )
        self.left = Counter(f"{prefix}processes_left", "Processes not closed, by reason.", ["why"], registry=registry)
        self.live = Gauge(f"{prefix}processes_live", "Processes that are ours now.", registry=registry)
        self.draining = Gauge(f"{prefix}draining", "1 while no new process is taken.", registry=registry)
        self.unknown_age = Gauge(
            f"{prefix}unknown_age_seconds", "Since when the engine has not answered.", registry=registry
        )
        self.stuck = Gauge(
            f"{prefix}stuck_calls", "Calls that have not come back from the engine's client.", registry=registry
        )
        self.loop_lag = Histogram(
            f"{prefix}loop_lag_seconds",
            "How late the daemon's event loop is, measured once a second.",
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.5, 1, 3, 10),
            registry=registry,
        )
        self.run_seconds = Histogram(
            f"{prefix}run_seconds",
            "Time from assignment to close.",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000, 100_000),
            registry=registry,
        )

    def text(self) -> bytes:
        """Return all of it as Prometheus reads it."""
        return generate_latest(self.registry)
