"""The event manager. The interface, and the order of a turn, are in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.libc.stdint import int64_t, uint64_t
from cython.cimports.netapp.ebb.core import Core, representative, running
from cython.cimports.netapp.event.contracts import InterruptFunction
from cython.cimports.netapp.event.timer import TimerWheel, timers

from netapp.ebb.core import EbbError
from netapp.event.collector import IdleCollector
from netapp.event.report import describe, let_go, report_exception, report_long

COUNTERS = (
    "turns",
    "events",
    "timers_fired",
    "interrupts",
    "polls",
    "polls_empty",
    "sleeps",
    "exceptions",
    "long_handlers",
    "messages",
)
OUTPUT = STAGE_OUTPUT
FREE = STAGE_FREE
FLUSH = STAGE_FLUSH

_BUDGET = cython.declare(cython.int, 64)  # units of work of a poller in a turn
_NEVER = cython.declare(uint64_t, 2**64 - 1)
_LONGEST = cython.declare(uint64_t, 2**63 - 1)
_QUIET = cython.declare(uint64_t, 1_000_000_000)  # ns; a poller that fails in every turn must not fill the log
_YIELD_TURNS = cython.declare(cython.int, 64)  # a loop that polls lets other threads run after so many turns


class Poller:
    def poll(self, budget):
        raise NotImplementedError(f"{type(self).__name__}.poll")


class PollerFunction:
    def __cinit__(self, function):
        self.function = function

    def poll(self, budget):
        return self.function(budget)


class EndOfTurn:
    def end_of_turn(self):
        raise NotImplementedError(f"{type(self).__name__}.end_of_turn")


class EndOfTurnFunction:
    def __cinit__(self, function):
        self.function = function

    def end_of_turn(self):
        self.function()
        return 0


@cython.cfunc
def _name(handler: object) -> object:
    """What to report of a poller or hook: the Python function that it calls, or itself."""
    if isinstance(handler, (PollerFunction, EndOfTurnFunction)):
        return handler.function
    return handler


class EventManager:
    def __cinit__(self, clock: Clock, interrupts: Interrupts, handler_limit=100_000_000):
        """`handler_limit`: ns that a handler may hold the loop before it is reported."""
        self.clock = clock
        self.interrupts = interrupts
        self.handler_limit = handler_limit
        self.queue = []
        self.pollers = []
        self.hooks = [[] for _ in range(STAGES)]
        self.graces = []
        self.quiet = {}
        self.counter_values = cython.cast(cython.pointer(uint64_t), cython.address(self.counts))
        self.counter_names = COUNTERS

    def may_be_replaced(self, new):
        if not isinstance(new, EventManager):
            raise EbbError(f"{type(new).__name__} cannot take over from {type(self).__name__}: it is no EventManager")

    def take_over(self, old):
        before: EventManager = old
        if self.clock is not before.clock or self.interrupts is not before.interrupts:
            raise EbbError("an event manager that takes over needs the clock and the interrupts of the old one")
        self.now = before.now
        self.mark = before.mark
        self.counts = before.counts

    def replaced(self, new):
        i: cython.Py_ssize_t
        after: EventManager = new
        after.stopping = self.stopping
        after.ragged = self.ragged
        after.queue[:0] = self.queue
        after.pollers[:0] = self.pollers
        for i in range(STAGES):
            cython.cast(list, after.hooks[i])[:0] = self.hooks[i]
        after.graces[:0] = self.graces
        after.quiet.update(self.quiet)
        self.successor = after
        self._forget()

    def _current(self):
        if self.successor is not None:
            raise RuntimeError("this event manager was replaced: reach it through its Ebb, in every event anew")
        return 0

    def destroy(self):
        """Forgets what is queued, started and hooked; run() ends."""
        self.stopping = True
        self._forget()
        self.core.wake = None

    def _forget(self):
        self.queue = []
        self.batch = None
        self.pollers = []
        self.hooks = [[] for _ in range(STAGES)]
        self.graces = []
        self.quiet = {}
        return 0

    def start_polling(self, poller):
        if self.successor is not None:
            self._current()
        if poller not in self.pollers:
            self.pollers.append(poller)

    def stop_polling(self, poller):
        if poller in self.pollers:
            self.pollers[self.pollers.index(poller)] = None
            self.quiet.pop(poller, None)
            self.ragged = True

    def at_end_of_turn(self, hook, stage):
        self._current()
        self.remove_end_of_turn(hook)
        self.hooks[stage].append(hook)

    def remove_end_of_turn(self, hook):
        stage: list
        for stage in self.hooks:
            if hook in stage:
                stage[stage.index(hook)] = None
                self.quiet.pop(hook, None)
                self.ragged = True

    def spawn(self, function):
        """Returns None; for a coroutine the Task."""
        if self.successor is not None:
            self._current()
        if callable(function):
            self.queue.append(function)
            return None
        from netapp.event.future import Task  # which is made of events

        return Task(function)

    def spawn_remote(self, core, ebb_id, method, message):
        self.core.namespace.cores[core].post(ebb_id, method, message)

    def call_rcu(self, function):
        other: EventManager
        others: list = []
        self._current()
        for found in self.core.namespace.representatives(EVENT_MANAGER_ID).values():
            if found is not self and isinstance(found, EventManager):
                other = found
                if other.core.in_turn:
                    others.append((other, other.counts.turns))
        self.graces.append((self.counts.turns, others, function))

    def turn(self):
        core: Core = self.core
        outer: Core = running
        done: cython.int
        if core is None:
            raise RuntimeError("this event manager is on no core: reach it through its Ebb")
        if core.in_turn:
            raise RuntimeError("turn() within a turn")
        core.activate()
        core.in_turn = True
        try:
            done = self._turn()
            core.in_turn = False
            if core.due:
                done += self._rebind()
        finally:
            core.in_turn = False
            if self.batch is not None:  # KeyboardInterrupt or SystemExit passed
                self.queue[:0] = self.batch[self.batch_next :]
                self.batch = None
            core.leave(outer)
        return done != 0

    def _rebind(self):
        """Between events: replaces the Ebbs that were rebound."""
        core: Core = self.core
        done: cython.int = 0
        ebb_id: object
        while core.due:
            ebb_id = core.due[0][0]
            done += 1
            try:
                core.rebind_due()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exception:
                events()._failed(f"the rebinding of Ebb {ebb_id}, which goes on as it was", exception)
        return done

    def _turn(self):
        now: uint64_t = self.clock.now()
        messages: cython.Py_ssize_t = len(self.core.inbox)
        done: cython.int = 0
        if self.core.wake is None:
            self.core.wake = cython.cast(object, self.interrupts).wake
        if self.awake and not self.reported and now > self.mark and now - self.mark > self.handler_limit:
            self.counts.long_handlers += 1
            pollers: str = ", ".join([describe(_name(poller)) for poller in self.pollers if poller is not None])
            report_long(f"pollers ({pollers}) and end of turn", now - self.mark)
        self.reported = False
        if now > self.now:
            self.now = now
            self.core.now = now
        self.mark = now
        if self.queue:
            self.batch = self.queue
            self.batch_next = 0
            self.queue = []
        done += self._interrupts()
        if messages:
            done += self._messages(messages)
        if self.batch is not None:
            done += self._events()
        if self.core is None:  # destroyed in this turn
            return done
        done += self._timers()
        if self.pollers:
            done += self._poll()
        self._end_of_turn()
        if self.ragged:
            self._compact()
        self.counts.turns += 1
        if self.graces:
            self._graces()
        return done

    def _interrupts(self):
        done: cython.int = 0
        ran: cython.int = 0
        interrupts: Interrupts = self.interrupts
        interrupts.polling = len(self.pollers) > 0
        while True:
            try:
                ran = interrupts.dispatch()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exception:
                self._failed(_interrupt_name(interrupts), exception)
                done += 1
                continue
            done += ran
            break
        if done:
            self.counts.interrupts += done
            self._measure(_interrupt_name(interrupts))
        return done

    def _messages(self, count):
        done: cython.int = 0
        name: str
        core: Core = self.core
        for _ in range(count):
            name = f"{core.inbox[0][1]} of Ebb {core.inbox[0][0]}"
            try:
                core.deliver()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exception:
                self._failed(name, exception)
            done += 1
            self._measure(name)
        self.counts.messages += done
        return done

    def _events(self):
        done: cython.int = 0
        batch: list = self.batch
        function: object
        began: uint64_t = self.mark
        while self.batch_next < len(batch):
            function = batch[self.batch_next]
            batch[self.batch_next] = None
            self.batch_next += 1
            done += 1
            try:
                function()
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exception:
                self._failed(function, exception)
            self._measure(function)
            function = None  # with what it holds
            if self.batch is not batch:  # destroyed
                break
            if self.batch_next < len(batch) and not self.goes_on(self.mark - began):
                self.queue[:0] = batch[self.batch_next :]
                break
        self.batch = None
        self.counts.events += done
        return done

    def goes_on(self, spent):
        return True

    def _timers(self):
        fired: cython.int
        reported: uint64_t
        wheel: TimerWheel = timers()
        wheel.clock = self.clock
        wheel.handler_limit = self.handler_limit
        reported = wheel.counts.long_handlers
        fired = wheel.advance(self.now)
        if fired:
            self.counts.timers_fired += fired
            if reported == wheel.counts.long_handlers:
                self._measure("timers")
            else:
                self.reported = True
                self.mark = self.clock.now()
        return fired

    def _poll(self):
        done: cython.int = 0
        units: cython.int
        i: cython.Py_ssize_t
        poller: Poller
        pollers: list = self.pollers
        for i in range(len(pollers)):
            poller = pollers[i]
            if poller is None:
                continue
            units = 0
            self.counts.polls += 1
            try:
                units = poller.poll(_BUDGET)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as exception:
                self._failed_again(poller, exception)
            done += units
            self.counts.polls_empty += units == 0
        return done

    def _end_of_turn(self):
        i: cython.Py_ssize_t
        hook: EndOfTurn
        stage: list
        for stage in self.hooks:
            for i in range(len(stage)):
                hook = stage[i]
                if hook is None:
                    continue
                try:
                    hook.end_of_turn()
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException as exception:
                    self._failed_again(hook, exception)
        return 0

    def _graces(self):
        """Queues the functions of call_rcu whose time of grace is over."""
        other: EventManager
        waiting: list = []
        for grace in self.graces:
            turn, others, function = grace
            over = self.counts.turns > turn
            for found, its_turn in others:
                other = found
                # One that was replaced since has ended its turn.
                over = over and (other.core is None or not other.core.in_turn or other.counts.turns != its_turn)
            if over:
                self.queue.append(function)
            else:
                waiting.append(grace)
        self.graces = waiting
        return 0

    def _compact(self):
        listed: list
        for listed in (self.pollers, *self.hooks):
            while None in listed:
                listed.remove(None)
        self.ragged = False
        return 0

    def _failed(self, handler, exception):
        self.counts.exceptions += 1
        report_exception(handler, exception)
        return 0

    def _failed_again(self, handler, exception):
        self.counts.exceptions += 1
        if self.now >= self.quiet.get(handler, 0):
            self.quiet[handler] = self.now + _QUIET
            report_exception(_name(handler), exception)
        else:
            let_go(exception)
        return 0

    def _measure(self, handler):
        now: uint64_t = self.clock.now()
        if now > self.mark and now - self.mark > self.handler_limit:
            self.counts.long_handlers += 1
            self.reported = True
            report_long(handler, now - self.mark)
        self.mark = now
        return 0

    def idle_time(self):
        core: Core = self.core
        outer: Core = running
        deadline: uint64_t
        now: uint64_t
        if core is None:
            raise RuntimeError("this event manager is on no core: reach it through its Ebb")
        if self.ragged and not core.in_turn:
            self._compact()
        if self.queue or self.pollers or self.graces or len(core.inbox) or core.due:
            return 0
        core.activate()
        try:
            deadline = timers().next_deadline()
        finally:
            core.leave(outer)
        if deadline == _NEVER:
            return -1
        now = self.clock.now()
        if deadline <= now:
            return 0
        return cython.cast(int64_t, min(deadline - now, _LONGEST))

    def run(self):
        current: EventManager = self
        collector = IdleCollector()
        collector.enter()
        try:
            while current is not None:
                current = current._run(collector)
        finally:
            collector.leave()

    def _run(self, collector):
        idle: int64_t
        turns: cython.int = 0
        collect_at: uint64_t = 0
        self.awake = False
        try:
            while not self.stopping:
                PyErr_CheckSignals()
                self.turn()
                if self.successor is not None:
                    return self.successor
                idle = 0 if self.stopping else self.idle_time()
                self.awake = idle == 0
                if idle != 0:
                    turns = 0
                    self.asleep_at = self.clock.now()
                    if self.asleep_at >= collect_at:
                        collect_at = collector.idle(self.asleep_at)
                    self._sleep(idle)
                    continue
                turns += 1
                if turns == _YIELD_TURNS:
                    turns = 0
                    with cython.nogil:
                        pass
            self.stopping = False
            return None
        finally:
            self.awake = False

    def _sleep(self, timeout):
        self.counts.sleeps += 1
        return self.interrupts.wait(timeout)

    def stop(self):
        self._current()
        self.stopping = True
        self.interrupts.wake()


@cython.cfunc
def _interrupt_name(interrupts: Interrupts) -> object:
    handler = interrupts.handler
    return handler.function if isinstance(handler, InterruptFunction) else handler


def event_manager():
    """The running core's event manager."""
    return representative(EVENT_MANAGER_ID)
