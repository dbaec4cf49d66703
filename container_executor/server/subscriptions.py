"""Telling subscribers on websockets of processes that enter a state."""

import asyncio
from collections import Counter

import attrs

from container_executor.server.call import Effect, Entered
from container_executor.server.envelope import wrap
from container_executor.server.process import Process

EVENT = "subscribeprocessmsg"
"""The type of every event, whatever was subscribed to."""

MOST_UNREAD = 1000
"""Events that may wait for a slow reader before its connection is given up."""


@attrs.frozen
class Wish:
    """What a subscriber wants to hear of.

    Attributes:
        colony: With ``executortype``: processes of this colony and type.
        processid: Or this one process.
        state: The state that is entered.
    """

    colony: str
    executortype: str
    processid: str
    state: int

    def matches(self, process: Process) -> bool:
        """Whether this process is one of those, in the state."""
        return self in (of_process(process), of_type(process))


def of_process(process: Process) -> Wish:
    """Return the wish that only this process in its state fulfils."""
    return Wish("", "", process.processid, process.state)


def of_type(process: Process) -> Wish:
    """Return the wish that all processes of this colony, type and state fulfil."""
    return Wish(process.colony, process.executortype, "", process.state)


@attrs.define(eq=False)
class Subscriber:
    """One connection: what it wants, and what it has not been sent yet."""

    unread: asyncio.Queue[str | None] = attrs.field(factory=lambda: asyncio.Queue(MOST_UNREAD))
    wishes: list[Wish] = attrs.field(factory=list)

    def offer(self, text: str | None) -> None:
        """Queue an event, or None for the end; a reader that is too slow gets the end."""
        if self.unread.full():
            self.unread.get_nowait()
            text = None
        self.unread.put_nowait(text)


@attrs.define(eq=False)
class Subscriptions:
    """All subscribers. Changed on the event loop only; :meth:`wants` is also asked from the database's thread."""

    _subscribers: list[Subscriber] = attrs.field(factory=list)
    _wished: Counter[Wish] = attrs.field(factory=Counter)

    def wants(self, process: Process) -> bool:
        """Whether anybody waits for this process in its state."""
        return bool(self._wished) and (of_process(process) in self._wished or of_type(process) in self._wished)

    def announce(self, wish: Wish) -> None:
        """Have the texts of such processes rendered from now on; :meth:`add` follows, or :meth:`withdraw`."""
        self._wished[wish] += 1

    def withdraw(self, wish: Wish) -> None:
        """Take one :meth:`announce` back."""
        self._wished[wish] -= 1
        if not self._wished[wish]:
            del self._wished[wish]

    def add(self, subscriber: Subscriber, wish: Wish) -> None:
        """Send events for an announced wish from now on."""
        if not subscriber.wishes:
            self._subscribers.append(subscriber)
        subscriber.wishes.append(wish)

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a subscriber with all it wished."""
        if subscriber.wishes:
            self._subscribers.remove(subscriber)
        for wish in subscriber.wishes:
            self.withdraw(wish)

    def publish(self, effect: Effect) -> None:
        """Send a process that has entered a state to those who wished it."""
        if isinstance(effect, Entered) and effect.text is not None:
            for subscriber in self._subscribers:
                if any(wish.matches(effect.process) for wish in subscriber.wishes):
                    subscriber.offer(wrap(EVENT, effect.text))
