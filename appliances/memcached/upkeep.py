"""What happens without a request: expired items are reclaimed, idle connections closed."""

from appliances.memcached.worker import Worker
from netapp.event.timer import Timer
from netapp.node.appliance import Appliance

SECOND = 1_000_000_000
ROUND = 60 * SECOND  # between two passes of the crawler: an idle cache costs a look each
SLICE = 256  # items looked at in a turn: far below 1 ms
PAUSE = 10_000_000  # ns between slices, as short as memcached's default of 100 us an item makes them, or longer
IDLE_ROUND = 5 * SECOND


class Upkeep:
    """Its timers, from when it is made until stop()."""

    def __init__(self, appliance: Appliance, worker: Worker) -> None:
        self.appliance = appliance
        self.worker = worker
        more = worker.options.more
        self.sleep = more.lru_crawler_sleep
        self.most = more.lru_crawler_tocrawl
        self.idle_timeout = more.idle_timeout
        self.looked = 0
        self.crawling: Timer | None = self._later(ROUND, self.crawl) if more.lru_crawler else None
        self.idle_round = min(IDLE_ROUND, self.idle_timeout * SECOND)
        self.idling = self._later(self.idle_round, self.close_idle) if self.idle_timeout else None

    def _later(self, delay: int, function: object) -> Timer:
        return self.appliance.timers.call_at(self.appliance.events.now + delay, function)

    def crawl(self) -> None:
        """A slice; the next follows after a pause, the next pass after a longer one."""
        store = self.worker.tick()
        self.looked += SLICE
        if self.looked == SLICE:
            store.count("lru_crawler_starts")
        goes_on = len(store) != 0 and store.crawl(SLICE) and not 0 < self.most <= self.looked
        if not goes_on:
            self.looked = 0
        self.crawling = self._later(max(PAUSE, self.sleep * 1000 * SLICE) if goes_on else ROUND, self.crawl)

    def start_crawling(self, at_once: bool) -> None:
        self.stop_crawling()
        self.crawling = self._later(0 if at_once else ROUND, self.crawl)

    def stop_crawling(self) -> None:
        if self.crawling is not None:
            self.crawling.cancel()
        self.crawling, self.looked = None, 0

    def close_idle(self) -> None:
        store = self.worker.tick()
        for session in list(self.worker.sessions):
            if store.now - session.last_command > self.idle_timeout and session.mode == 0 and not session.yielded:
                store.count("idle_kicks")
                session.leave()
        self.idling = self._later(self.idle_round, self.close_idle)

    def stop(self) -> None:
        self.stop_crawling()
        if self.idling is not None:
            self.idling.cancel()
