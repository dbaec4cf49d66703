"""The daemon: puts the parts together, runs them, and ends them in order."""

import enum
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.abc
import attrs

from container_executor.backend import Backend
from container_executor.client import Client
from container_executor.execute.adopt import adopt
from container_executor.execute.capacity import Ledger
from container_executor.execute.claim import FORGIVEN, Claimer
from container_executor.execute.clock import Bell, now
from container_executor.execute.configured import bounds_of, membership_of, policy_of
from container_executor.execute.decide import Why
from container_executor.execute.engine import Engine
from container_executor.execute.health import serve_health
from container_executor.execute.journal import Journal
from container_executor.execute.keys import identity_of, key_of
from container_executor.execute.lag import measure
from container_executor.execute.leases import Leases
from container_executor.execute.lives import Lives
from container_executor.execute.metrics import Metrics
from container_executor.execute.monitor import Monitor
from container_executor.execute.register import Membership
from container_executor.execute.reload import reload
from container_executor.execute.site import Site
from container_executor.execute.staging.shared import open_staging
from container_executor.execute.sweep import Sweeper
from container_executor.logs import Logger
from container_executor.settings import Drain, Settings

log = Logger(__name__)


class Phase(enum.IntEnum):
    """What the daemon is doing. It only ever goes on to a later one."""

    STARTING = 0
    RUNNING = 1
    DRAINING = 2
    ABORTING = 3
    ENDED = 4


@attrs.define(eq=False)
class Daemon:
    """One executor: takes processes from the server and runs them on the backend.

    Attributes:
        settings: What the site set.
        backend: Where jobs run.
        journal: What was begun.
        client: The server, signed as the executor.
        name: Our name on the server.
        owner: Marks our objects on the engine.
        phase: What it is doing.
        ready: Set once it takes processes.
        health_port: Where its own web server listens, 0 before it does.
    """

    settings: Settings
    backend: Backend
    journal: Journal
    client: Client
    name: str
    owner: str
    phase: Phase = Phase.STARTING
    ready: anyio.Event = attrs.field(factory=anyio.Event)
    health_port: int = 0
    metrics: Metrics = attrs.field(factory=Metrics)
    _told: Bell = attrs.field(factory=Bell)
    _stranger: Bell = attrs.field(factory=Bell)
    _lives: Lives | None = None
    _left: int | None = None
    _claimer: Claimer | None = None
    _monitor: Monitor | None = None
    _leases: Leases | None = None
    _membership: Membership | None = None

    async def run(self) -> None:
        """Run until told to end; see :meth:`drain` and :meth:`abort`."""
        async with anyio.create_task_group() as tasks:
            site = self._site(tasks)
            port = self.settings.executor.health_port
            async with serve_health(port, self._report, self.metrics) as self.health_port:
                tasks.start_soon(self._until_ended, tasks.cancel_scope)
                tasks.start_soon(measure, self.metrics.loop_lag)
                await self._start(site, tasks)
                self._advance(Phase.RUNNING)
                self.ready.set()
                log.info(
                    "running",
                    executor=self.name,
                    backend=self.backend.name,
                    url=self.client.url,
                    health=self.health_port,
                )
                await anyio.sleep_forever()

    def drain(self) -> None:
        """Take no new process; end when the last has ended, or at once where the site hands over."""
        self._advance(Phase.DRAINING)

    def abort(self) -> None:
        """Take no new process and stop every job, with grace; then end."""
        self._advance(Phase.ABORTING)

    def reload(self, settings: Settings) -> None:
        """Go on with what of *settings* can change under a running daemon, and with the keys; say what of it needs a restart.

        Raises:
            SettingsError: A key is none, or cannot be read any more; all is as it was.
        """
        found = reload(self.settings, settings)
        identity, colony_key = identity_of(found.settings, self.name), key_of(found.settings, "server.colony_key")
        self.settings = found.settings
        if self._membership is not None:
            self._membership.colony_key = colony_key
        if self._lives is not None:
            self._apply(self._lives.site)
        if identity != self.client.identity:
            self.client.identity = identity
            self._stranger.ring()
        log.info("configuration read again", id=identity.id, changed=found.changed, needs_a_restart=found.later)

    def _apply(self, site: Site) -> None:
        site.policy = policy_of(self.settings)
        site.staging.use(self.settings)
        site.ledger.parallel, site.ledger.site = bounds_of(self.settings)
        site.ledger.changed.ring()

    @property
    def live(self) -> int:
        """How many processes are ours now; after the end, how many go on without us."""
        if self._left is not None:
            return self._left
        return len(self._lives) if self._lives is not None else 0

    @property
    def handover_deadline(self) -> datetime:
        """By when the next start must run, so that the server does not give our processes to others."""
        last = self._claimer.last_sign if self._claimer else now()
        return datetime.now(UTC) + timedelta(seconds=last + FORGIVEN - 100 - now())

    def _advance(self, phase: Phase) -> None:
        if phase > self.phase:
            self.phase = phase
            self._told.ring()

    # --- starting -----------------------------------------------------------------------------------------------------

    def _site(self, tasks: anyio.abc.TaskGroup) -> Site:
        engine = Engine(self.backend)
        monitor = self._monitor = Monitor(engine)
        ledger = Ledger(*bounds_of(self.settings))
        bell = Bell()
        site = Site(
            owner=self.owner,
            name=self.name,
            client=self.client,
            engine=engine,
            monitor=monitor,
            journal=self.journal,
            ledger=ledger,
            policy=policy_of(self.settings),
            metrics=self.metrics,
            staging=open_staging(self.settings, self.client, self.backend),
            tasks=tasks,
            check_leases=bell.ring,
        )
        lives = self._lives = Lives(site)
        leases = Leases(lives, self._stranger.ring, bell)
        poll = max(1, round(self.settings.executor.poll_timeout.total_seconds()))
        self._claimer = Claimer(lives, poll, reconcile=bell.ring, on_stranger=self._stranger.ring)
        self._leases = leases
        return site

    async def _start(self, site: Site, tasks: anyio.abc.TaskGroup) -> None:
        membership = self._membership = membership_of(self.settings, self.client, self.name)
        await membership.ensure()
        tasks.start_soon(site.monitor.run)
        site.monitor.start_watch()
        if self._lives is None or self._claimer is None or self._leases is None:
            raise RuntimeError("the site comes first")
        await adopt(self._lives)
        tasks.start_soon(self._keep_membership, membership)
        tasks.start_soon(self._claimer.run)
        tasks.start_soon(self._leases.run)
        tasks.start_soon(Sweeper(site.engine, self.journal).run)

    async def _keep_membership(self, membership: Membership) -> None:
        while True:
            await self._stranger.wait()
            log.warning("the server does not know us any more; registering again")
            await membership.ensure()
            if self._leases is not None:
                self._leases.bell.ring()

    # --- ending -------------------------------------------------------------------------------------------------------

    async def _until_ended(self, scope: anyio.CancelScope) -> None:
        while not await self._may_end():
            await self._told.wait(0.2 if self.phase > Phase.RUNNING else None)
        self._left = self.live
        self._advance(Phase.ENDED)
        scope.cancel()

    async def _may_end(self) -> bool:
        if self.phase < Phase.DRAINING or self._claimer is None or self._lives is None:
            return self.phase >= Phase.DRAINING
        self._claimer.drain()
        if self.phase is Phase.ABORTING:
            self._lives.order(Why.ABORTED)
        if not self.ready.is_set():
            return not self._lives
        hands_over = self.phase is Phase.DRAINING and self.settings.executor.drain is Drain.HANDOVER
        return self._claimer.stopped.is_set() and (hands_over or not self._lives)

    # --- health -------------------------------------------------------------------------------------------------------

    def _report(self) -> Mapping[str, Any]:
        since = self._monitor.unanswered_since if self._monitor else None
        age = 0.0 if since is None else now() - since
        stuck = self._monitor.engine.stuck if self._monitor else 0
        self.metrics.unknown_age.set(age)
        self.metrics.stuck.set(stuck)
        return {
            "ok": self.phase < Phase.ABORTING and stuck == 0 and age < 60,
            "state": self.phase.name.lower(),
            "executor": self.name,
            "backend": self.backend.name,
            "claiming": self._claimer is not None and not self._claimer.stopped.is_set(),
            "live": self.live,
            "engine_unanswered_seconds": round(age, 1),
            "stuck_calls": stuck,
        }
