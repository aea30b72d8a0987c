"""Ebbs: ids, references, representatives, faults (EbbRT, OSDI'16, section 3.2). The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import enum
from collections import deque

from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdlib import free, realloc
from cython.cimports.libc.string import memset
from cython.cimports.netapp.ebb import ids

EVENT_MANAGER = ids.EVENT_MANAGER_ID
TIMER = ids.TIMER_ID
BUFFER_POOL = ids.BUFFER_POOL_ID
NETWORK_MANAGER = ids.NETWORK_MANAGER_ID
TCP = ids.TCP_ID
CONGESTION_CONTROL = ids.CONGESTION_CONTROL_ID
UDP = ids.UDP_ID


class EbbKind(enum.Enum):
    """PER_CORE: every core faults in its own. SHARED: lives on its owner core, others send it messages."""

    PER_CORE = "per-core"
    SHARED = "shared"


class EbbError(LookupError):
    """An EbbId that names no Ebb, or that is taken already; no core is running; an Ebb that cannot be rebound so."""


class _Definition:
    __slots__ = ("fault_handler", "kind", "owner")

    def __init__(self, fault_handler: object, kind: EbbKind, owner: int) -> None:
        self.fault_handler = fault_handler
        self.kind = kind
        self.owner = owner


class RemoteRepresentative:
    """What a core that does not own a shared Ebb reaches: messages, by value, to the owner core's representative."""

    def __init__(self, ebb_id: int, owner: Core) -> None:
        self.ebb_id = ebb_id
        self.owner = owner

    def send(self, method: str, message: bytes) -> None:
        """Calls `method(message)` on the owner's representative, in a later turn of the owner core."""
        self.owner.post(self.ebb_id, method, message)


def fault(ebb_id):
    if running is None:
        raise EbbError(f"Ebb {ebb_id} referred to outside any core: use `with core:`")
    return running.fault(ebb_id)


class Representative:
    def begin(self):
        """It is its core's representative from now on, the first one."""

    def take_over(self, old):
        """It is about to be, in place of `old`."""
        raise EbbError(f"{type(self).__name__} cannot take over from {type(old).__name__}: it has no take_over()")

    def may_be_replaced(self, new):
        """Raises EbbError where it may not, by `new`."""

    def replaced(self, new):
        """`new` is the representative now."""

    def destroy(self):
        """The Ebb is being destroyed: gives back what this representative holds. It is not called again."""

    def counters(self):
        """Name to value, in the order of the struct."""
        i: cython.Py_ssize_t
        names: tuple = self.counter_names
        if names is None:
            return {}
        return {names[i]: self.counter_values[i] for i in range(len(names))}


class Core:
    def __cinit__(self, namespace: EbbNamespace, index):
        self.namespace = namespace
        self.index = index
        self.inbox = deque()
        self.outer = []
        self.due = []

    def __dealloc__(self):
        free(self.entries)

    def activate(self):
        """Makes this the running core. A turn begins with it: several cores can then share a process."""
        global translation, running
        translation = self.entries
        running = self

    def __enter__(self):
        self.outer.append(running)
        self.activate()
        return self

    def leave(self, outer):
        """Goes back to `outer`, which ran before; None: no core."""
        global translation, running
        if outer is not None:
            outer.activate()
        else:
            running = None
            translation = no_translation

    def __exit__(self, *exc_info):
        self.leave(self.outer.pop())

    def fault(self, ebb_id):
        definition = self.namespace.ebbs.get(ebb_id)
        if definition is None:
            raise EbbError(f"no Ebb has the id {ebb_id}")
        if definition.kind is EbbKind.SHARED and definition.owner != self.index:
            made = RemoteRepresentative(ebb_id, self.namespace.cores[definition.owner])
        else:
            made = definition.fault_handler(self, ebb_id)
        if self.entries[ebb_id] != cython.NULL:
            raise EbbError(f"the fault handler of Ebb {ebb_id} referred to its own Ebb")
        if isinstance(made, Representative):
            cython.cast(Representative, made).ebb_id = ebb_id
            cython.cast(Representative, made).core = self
        Py_INCREF(made)
        self.entries[ebb_id] = cython.cast(cython.pointer(PyObject), made)
        if isinstance(made, Representative):
            try:
                cython.cast(Representative, made).begin()
            except BaseException:
                cython.cast(Representative, made).core = None
                self.entries[ebb_id] = cython.NULL
                Py_DECREF(made)
                raise
        return made

    def get(self, ebb_id):
        if self.entries[ebb_id] != cython.NULL:
            return cython.cast(object, self.entries[ebb_id])
        with self:
            return self.fault(ebb_id)

    def rebind(self, ebb_id, fault_handler):
        """This core is the running one, between events."""
        definition = self.namespace.ebbs.get(ebb_id)
        if definition is None:
            raise EbbError(f"no Ebb has the id {ebb_id}")
        if self.entries[ebb_id] != cython.NULL:
            self._replace(ebb_id, fault_handler)
        definition.fault_handler = fault_handler
        return 0

    def _replace(self, ebb_id, fault_handler):
        old: object = cython.cast(object, self.entries[ebb_id])
        new: Representative
        made = fault_handler(self, ebb_id)
        if not isinstance(made, Representative) or not isinstance(old, Representative):
            raise EbbError(f"Ebb {ebb_id}: only a Representative can be replaced, and by another")
        if made is old or cython.cast(Representative, made).core is not None:
            raise EbbError(f"the fault handler of Ebb {ebb_id} returned a representative that is in use")
        if self.entries[ebb_id] != cython.cast(cython.pointer(PyObject), old):
            raise EbbError(f"Ebb {ebb_id} was destroyed or rebound by its new fault handler")
        new = made
        cython.cast(Representative, old).may_be_replaced(new)
        new.ebb_id = ebb_id
        new.core = self
        try:
            new.take_over(old)
            if self.entries[ebb_id] != cython.cast(cython.pointer(PyObject), old):
                raise EbbError(f"Ebb {ebb_id} was destroyed or rebound by what was to take over from it")
        except BaseException:
            new.core = None
            raise
        Py_INCREF(new)
        self.entries[ebb_id] = cython.cast(cython.pointer(PyObject), new)
        try:
            cython.cast(Representative, old).replaced(new)
        finally:
            cython.cast(Representative, old).core = None
            Py_DECREF(old)
        return 0

    def rebind_due(self):
        if not self.due:
            return 0
        ebb_id, fault_handler = self.due.pop(0)
        self.rebind(ebb_id, fault_handler)
        return 1

    def remove(self, ebb_id):
        entry: cython.pointer(PyObject) = self.entries[ebb_id]
        if entry == cython.NULL:
            return 0
        found: object = cython.cast(object, entry)
        # The entry stays until destroy() returned: what the representative gives back may need to reach it.
        try:
            if isinstance(found, Representative):
                with self:
                    found.destroy()
                cython.cast(Representative, found).core = None
        finally:
            self.entries[ebb_id] = cython.NULL
            Py_DECREF(found)
        return 1

    def post(self, ebb_id, method, message):
        """Any core: `method(message)` of this core's representative of `ebb_id` is called in a later turn."""
        if ebb_id not in self.namespace.ebbs:
            raise EbbError(f"no Ebb has the id {ebb_id}")
        self.inbox.append((ebb_id, method, message))
        if self.wake is not None:
            self.wake()

    def deliver(self):
        """Dispatches the oldest message that has arrived; 0: there is none. Run by the event manager."""
        if not self.inbox:
            return 0
        ebb_id, method, message = self.inbox.popleft()
        getattr(representative(ebb_id), method)(message)
        return 1


class EbbNamespace:
    def __cinit__(self, cores=1):
        self.ebbs = {}
        self.released = []
        self.next_id = ids.FIRST_DYNAMIC_ID
        self.cores = tuple([Core(self, index) for index in range(cores)])
        self._reserve(64)

    def _reserve(self, capacity):
        global translation
        core: Core
        entries: cython.pointer(cython.pointer(PyObject))
        for core in self.cores:
            entries = cython.cast(
                cython.pointer(cython.pointer(PyObject)), realloc(core.entries, capacity * cython.sizeof(cython.p_void))
            )
            if entries == cython.NULL:
                raise MemoryError
            memset(entries + self.capacity, 0, (capacity - self.capacity) * cython.sizeof(cython.p_void))
            core.entries = entries
            if core is running:
                translation = entries
        self.capacity = capacity
        return 0

    def install(self, ebb_id, fault_handler, kind=EbbKind.PER_CORE, owner=0):
        """Defines the well-known Ebb `ebb_id`. `fault_handler(core, ebb_id)` returns a core's new representative."""
        if not 0 < ebb_id < self.capacity:
            raise EbbError(f"{ebb_id} is no well-known EbbId")
        if ebb_id in self.ebbs:
            raise EbbError(f"the EbbId {ebb_id} is taken: destroy that Ebb first")
        if owner >= len(self.cores):
            raise EbbError(f"the owner core {owner} does not exist")
        self.ebbs[ebb_id] = _Definition(fault_handler, kind, owner)

    def create(self, fault_handler, kind=EbbKind.PER_CORE, owner=0):
        """Defines a new Ebb and returns its id. Ids of destroyed Ebbs are used again."""
        ebb_id: cython.uint
        if self.released:
            ebb_id = self.released.pop()
        else:
            ebb_id = self.next_id
            if ebb_id >= self.capacity:
                self._reserve(self.capacity * 2)
            self.next_id += 1
        try:
            self.install(ebb_id, fault_handler, kind, owner)
        except EbbError:
            self.released.append(ebb_id)
            raise
        return ebb_id

    def rebind(self, ebb_id, fault_handler):
        """Replaces the Ebb while it runs; `fault_handler(core, ebb_id)` returns a core's new representative."""
        core: Core
        here: Core = None
        definition = self.ebbs.get(ebb_id)
        if definition is None:
            raise EbbError(f"no Ebb has the id {ebb_id}")
        if not callable(fault_handler):
            raise TypeError("rebind() takes a fault handler: a callable that returns a representative")
        if running is not None and running.namespace is self and not running.in_turn:
            here = running
        if here is not None and (definition.kind is EbbKind.PER_CORE or definition.owner == here.index):
            here.rebind(ebb_id, fault_handler)
        else:
            here = None
        for core in self.cores:
            if core is not here and (definition.kind is EbbKind.PER_CORE or definition.owner == core.index):
                core.due.append((ebb_id, fault_handler))
                if core.wake is not None:
                    core.wake()
        return here is not None

    def representatives(self, ebb_id):
        """The representatives that exist, by core index; a shared Ebb has one, on its owner core."""
        core: Core
        found: dict = {}
        if ebb_id in self.ebbs:
            for core in self.cores:
                if core.entries[ebb_id] != cython.NULL:
                    entry: object = cython.cast(object, core.entries[ebb_id])
                    if not isinstance(entry, RemoteRepresentative):
                        found[core.index] = entry
        return found

    def destroy(self, ebb_id):
        """Destroys the Ebb: its representatives, on every core, then its id. Raises EbbError if there is none; what a
        representative raised, when all is done."""
        core: Core
        failure: object = None
        if ebb_id not in self.ebbs:
            raise EbbError(f"no Ebb has the id {ebb_id}")
        for core in self.cores:
            core.due = [waiting for waiting in core.due if waiting[0] != ebb_id]
            try:
                core.remove(ebb_id)
            except Exception as exception:
                failure = failure or exception
        del self.ebbs[ebb_id]
        if ebb_id >= ids.FIRST_DYNAMIC_ID:
            self.released.append(ebb_id)
        if failure is not None:
            raise failure

    def counters(self):
        """Every counting Ebb's values, summed over its representatives: {class name: {counter: value}}."""
        gathered: dict = {}
        for ebb_id in self.ebbs:
            for found in self.representatives(ebb_id).values():
                if isinstance(found, Representative) and cython.cast(Representative, found).counter_names is not None:
                    totals: dict = gathered.setdefault(type(found).__name__, {})
                    for name, value in found.counters().items():
                        totals[name] = totals.get(name, 0) + value
        return gathered


class EbbRef:
    def __cinit__(self, ebb_id):
        if running is None or ebb_id not in running.namespace.ebbs:
            raise EbbError(f"no Ebb has the id {ebb_id}")
        self.ebb_id = ebb_id

    def get(self):
        """The running core's representative, built on first use."""
        return representative(self.ebb_id)

    def __call__(self):
        return representative(self.ebb_id)

    def __repr__(self):
        return f"EbbRef({self.ebb_id})"


def running_core():
    """The core that runs now, or None outside any."""
    return running


# Outside any core every well-known id faults, which says what is wrong.
_empty = cython.declare(cython.pointer(PyObject)[64])
memset(_empty, 0, cython.sizeof(_empty))
no_translation = cython.cast(cython.pointer(cython.pointer(PyObject)), cython.address(_empty[0]))
translation = no_translation
running = None
