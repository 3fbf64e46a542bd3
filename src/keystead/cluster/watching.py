"""The topology, asked for at the start, once a second, and at once when there is trouble.

Two or three nodes are asked, because one alone may be cut off from the others and not know it.

Owns: the connections for these questions. Must not know: requests, where they go.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from keystead.cluster.control import ControlLink
from keystead.cluster.status import Status, down, status_of
from keystead.cluster.topology import Address, Node, Topology, merge, read_nodes, shown
from keystead.errors import ClusterUnavailable, CommandError

if TYPE_CHECKING:
    from keystead.cluster.options import Options

log = logging.getLogger("keystead.cluster")

INTERVAL_S: Final = 1.0
TROUBLED_INTERVAL_S: Final = 0.1
"""Between two looks while something waits for the cluster to change."""
LEAST_INTERVAL_S: Final = 0.03
ASKED: Final = 3
_ANSWER_S: Final = 0.5
_BELIEVED_S: Final = 10.0


class Watch:
    """Keeps the present topology and status of one cluster."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seeds: Sequence[Address],
        options: Options,
        on_change: Callable[[], None],
    ) -> None:
        """*on_change* is called when the topology or the status is another one."""
        self.topology = Topology()
        self.status: Status = down("it was not asked yet")
        self.in_trouble: Callable[[], bool] = lambda: False
        """Whether to ask more often."""
        self._loop = loop
        self._seeds = list(dict.fromkeys(seeds))
        self._options = options
        self._on_change = on_change
        self._links: dict[Address, ControlLink] = {}
        self._epoch = 0
        self._current_at = 0.0
        self._turn = itertools.count()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the topology and keep it up to date. ClusterUnavailable, with what each address says."""
        views, failures = await self._views(self._seeds, self._options.timeout_s)
        if not views:
            raise ClusterUnavailable(failures)
        self._adopt(views)
        if not self.status.ready and self.topology.uncovered():
            raise ClusterUnavailable(f"the cluster cannot serve all keys: {self.status.detail}")
        self._task = self._loop.create_task(self._keep_looking())

    def look(self) -> None:
        """Something has changed, or may have: ask soon."""
        self._wake.set()

    async def ask(self, address: Address, *arguments: bytes) -> Any:
        """The reply of the node at *address*. CommandError, ClusterUnavailable."""
        return await self._link(address).ask(*arguments)

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        for link in self._links.values():
            link.close("closed")

    async def _keep_looking(self) -> None:
        while True:
            interval = TROUBLED_INTERVAL_S if self.in_trouble() or not self.status.ready else INTERVAL_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):  # wait_for would swallow a cancellation now and then
                    await self._wake.wait()
                await asyncio.sleep(LEAST_INTERVAL_S)  # much trouble at once is one
            self._wake.clear()
            try:
                await self._look()
            except Exception:  # the next look may go well; without one nothing would ever heal
                log.exception("the cluster's nodes could not be looked at")

    async def _look(self) -> None:
        """Ask a few nodes, and take over what they say."""
        for link in self._links.values():
            link.cut_if_silent()
        views, failures = await self._views(self._whom_to_ask(), _ANSWER_S)
        if views:
            self._adopt(views)
        else:
            self._set_status(down(failures))

    async def _views(self, addresses: Sequence[Address], within_s: float) -> tuple[list[list[Node]], str]:
        """What the nodes at *addresses* see, of those that answer; and why the others do not."""
        answers = await asyncio.gather(
            *(self._view(address, within_s) for address in addresses), return_exceptions=True
        )
        views = [answer for answer in answers if not isinstance(answer, BaseException)]
        return views, "; ".join(dict.fromkeys(str(answer) for answer in answers if isinstance(answer, BaseException)))

    def _whom_to_ask(self) -> list[Address]:
        """Some at a time, everybody in turn; nobody who is still silent about the last question if others are not."""
        known = list(dict.fromkeys([*(node.address for node in self.topology.nodes.values()), *self._seeds]))
        self._forget(known)
        start = next(self._turn) * ASKED % len(known)
        in_turn = known[start:] + known[:start]
        answering = [address for address in in_turn if address not in self._links or self._links[address].is_idle]
        return (answering or in_turn)[:ASKED]

    def _forget(self, known: Iterable[Address]) -> None:
        for address in set(self._links).difference(known):
            self._links.pop(address).close("it belongs to the cluster no more")

    async def _view(self, address: Address, within_s: float) -> list[Node]:
        """The nodes that the one at *address* sees. ClusterUnavailable."""
        try:
            async with asyncio.timeout(within_s):
                text = await self._link(address).ask(b"CLUSTER", b"NODES")
            return read_nodes(text.decode(), address[0], by_name=self._options.ssl is not None)
        except TimeoutError:
            raise ClusterUnavailable(f"{shown(address)}: no answer within {within_s:g} s") from None
        except CommandError as error:
            if "cluster support disabled" in error.text:
                raise ClusterUnavailable(f"{shown(address)} is a server by itself, no node of a cluster") from None
            raise ClusterUnavailable(f"{shown(address)} does not tell its cluster's nodes: {error.text}") from None
        except (ValueError, AttributeError):
            raise ClusterUnavailable(f"{shown(address)} answers CLUSTER NODES with something else") from None

    def _link(self, address: Address) -> ControlLink:
        link = self._links.get(address)
        if link is None or link.is_lost:
            link = self._links[address] = ControlLink(self._loop, address, self._options)
            link.open()
        return link

    def _adopt(self, views: list[list[Node]]) -> None:
        current = self._current(views)
        if not current:
            return
        topology = merge(current)
        changed = topology != self.topology
        self.topology = topology
        status = status_of(topology)
        if changed or status != self.status:
            self.status = status
            self._on_change()

    def _current(self, views: list[list[Node]]) -> list[list[Node]]:
        """Those that are not behind what was known already, as that of a primary that was paused while a replica took
        over. A cluster that is really set back is believed after a while."""
        now = self._loop.time()
        epochs = [max((node.config_epoch for node in view), default=0) for view in views]
        if max(epochs) >= self._epoch or now - self._current_at > _BELIEVED_S:
            self._epoch, self._current_at = max(epochs), now
        return [view for view, epoch in zip(views, epochs, strict=True) if epoch >= self._epoch]

    def _set_status(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._on_change()
