"""Ebbs that are replaced while they run."""

import weakref
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from netapp.ebb.core import (
    BUFFER_POOL,
    CONGESTION_CONTROL,
    EVENT_MANAGER,
    NETWORK_MANAGER,
    TIMER,
    Core,
    EbbError,
    EbbKind,
    EbbNamespace,
    EbbRef,
    RemoteRepresentative,
    Representative,
    running_core,
)
from netapp.event.manager import EventManager
from netapp.event.timer import TimerWheel
from netapp.event.virtual import VirtualClock, VirtualInterrupts
from netapp.iobuf.pool import BufferPool
from netapp.net.manager import NetworkManager
from netapp.tcp.congestion.reno import Reno


class Part(Representative):
    """A list that is handed on, and what became of it."""

    def __init__(self, name: str, fails: str = "") -> None:
        self.name = name
        self.fails = fails
        self.items: list[Any] = []
        self.calls: list[str] = []

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if self.fails == name:
            raise ValueError(f"{name} of {self.name}")

    def begin(self) -> None:
        self._called("begin")

    def take_over(self, old: Any) -> None:
        assert running_core() is self.core is old.core and EbbRef(self.ebb_id)() is old
        self.items = list(old.items)
        self._called("take_over")

    def may_be_replaced(self, new: object) -> None:
        if not isinstance(new, Part):
            raise EbbError("only by a Part")

    def replaced(self, new: Any) -> None:
        assert EbbRef(self.ebb_id)() is new and self.core is new.core is running_core()
        self._called("replaced")

    def destroy(self) -> None:
        self._called("destroy")

    def receive(self, message: bytes) -> None:
        self.items.append(message)


def made(name: str, fails: str = "") -> Callable[[Core, int], Part]:
    return lambda core, ebb_id: Part(name + str(core.index), fails)


def test_between_events_the_running_core_rebinds_at_once() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("old"))
    with namespace.cores[0] as core:
        ref = EbbRef(ebb_id)
        old = ref()
        old.items.append("kept")
        assert namespace.rebind(ebb_id, made("new"))
        new = ref()
        assert new.name == "new0" and new.items == ["kept"] and new.core is core and new.ebb_id == ebb_id
        assert (old.calls, new.calls) == (["begin", "replaced"], ["take_over"]), "replaced, not destroyed"
        assert old.core is None
        assert namespace.representatives(ebb_id) == {0: new}
    namespace.destroy(ebb_id)
    assert old.calls == ["begin", "replaced"] and new.calls == ["take_over", "destroy"]


def test_the_old_representative_is_let_go() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("old"))
    with namespace.cores[0]:
        old = weakref.ref(EbbRef(ebb_id)())
        namespace.rebind(ebb_id, made("new"))
        assert old() is None
    namespace.destroy(ebb_id)


def test_a_core_without_a_representative_faults_in_the_new_kind() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(made("old"))
    with namespace.cores[0] as core:
        assert namespace.rebind(ebb_id, made("new"))
        part = EbbRef(ebb_id)()
        assert part.name == "new0" and part.calls == ["begin"]
        assert core.rebind_due() == 0
    with namespace.cores[1]:
        assert EbbRef(ebb_id)().name == "new1"


def test_each_core_rebinds_in_its_own_turn() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(made("old"))
    for core in namespace.cores:
        with core:
            EbbRef(ebb_id)().items.append(core.index)
    woken: list[int] = []
    namespace.cores[1].wake = lambda: woken.append(1)
    with namespace.cores[0]:
        assert namespace.rebind(ebb_id, made("new"))
    assert woken == [1]
    assert [part.name for part in namespace.representatives(ebb_id).values()] == ["new0", "old1"]
    with namespace.cores[1] as second:
        assert EbbRef(ebb_id)().name == "old1"
        assert second.rebind_due() == 1 and second.rebind_due() == 0
        assert EbbRef(ebb_id)().name == "new1" and EbbRef(ebb_id)().items == [1]


def test_outside_any_core_every_core_rebinds_later() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("old"))
    part = namespace.cores[0].get(ebb_id)
    assert part.name == "old0" and running_core() is None
    assert not namespace.rebind(ebb_id, made("new"))
    assert namespace.cores[0].get(ebb_id) is part
    with namespace.cores[0] as core:
        core.rebind_due()
    assert namespace.cores[0].get(ebb_id).name == "new0"


def test_a_shared_ebb_is_rebound_on_its_owner() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(made("old"), EbbKind.SHARED, owner=1)
    with namespace.cores[1]:
        EbbRef(ebb_id)()
    with namespace.cores[0] as other:
        remote = EbbRef(ebb_id)()
        remote.send("receive", b"before")
        assert not namespace.rebind(ebb_id, made("new"))
        assert other.rebind_due() == 0 and EbbRef(ebb_id)() is remote and isinstance(remote, RemoteRepresentative)
        remote.send("receive", b"after")
    with namespace.cores[1] as owner:
        owner.deliver()
        owner.rebind_due()
        owner.deliver()
        assert EbbRef(ebb_id)().name == "new1" and EbbRef(ebb_id)().items == [b"before", b"after"]


@pytest.mark.parametrize(
    "where", ["fault handler", "take_over", "no Representative", "wrong class", "in use", "own Ebb"]
)
def test_what_fails_leaves_the_old_one_in_place(where: str) -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("old"))

    class Other(Representative):
        def take_over(self, old: object) -> None:
            raise AssertionError("it was not asked")

    def handler(core: Core, ebb_id: int) -> Any:
        if where == "fault handler":
            raise ValueError("handler")
        if where == "no Representative":
            return object()
        if where == "wrong class":
            return Other()
        if where == "in use":
            return EbbRef(ebb_id)()
        if where == "own Ebb":
            namespace.rebind(ebb_id, made("nested"))
        return Part("new", "take_over" if where == "take_over" else "")

    with namespace.cores[0]:
        old = EbbRef(ebb_id)()
        old.items.append("kept")
        if where == "own Ebb":  # the innermost took over
            with pytest.raises(EbbError, match="rebound by its new fault handler"):
                namespace.rebind(ebb_id, handler)
            assert EbbRef(ebb_id)().name == "nested0" and EbbRef(ebb_id)().items == ["kept"]
            return
        with pytest.raises(ValueError if where in ("fault handler", "take_over") else EbbError):
            namespace.rebind(ebb_id, handler)
        assert EbbRef(ebb_id)() is old and old.core is namespace.cores[0] and old.items == ["kept"]
        assert old.calls == ["begin"]
    namespace.destroy(ebb_id)
    with namespace.cores[0], pytest.raises(EbbError):
        namespace.rebind(ebb_id, made("new"))


def test_after_a_failure_other_cores_still_fault_in_the_old_kind() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(made("old"))
    with namespace.cores[0]:
        EbbRef(ebb_id)()
        with pytest.raises(ValueError):
            namespace.rebind(ebb_id, made("new", "take_over"))
    with namespace.cores[1] as second:
        assert second.rebind_due() == 0 and EbbRef(ebb_id)().name == "old1"


def test_destroying_an_ebb_forgets_its_rebinding() -> None:
    """Its id may name another one by then."""
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("old"))
    namespace.rebind(ebb_id, made("new"))
    namespace.destroy(ebb_id)
    assert namespace.create(made("another")) == ebb_id
    with namespace.cores[0] as core:
        assert core.rebind_due() == 0 and EbbRef(ebb_id)().name == "another0"


def test_begin_that_raises_leaves_no_representative() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("part", "begin"))
    with namespace.cores[0]:
        for _ in range(2):
            with pytest.raises(ValueError):
                EbbRef(ebb_id)()
        assert namespace.representatives(ebb_id) == {}


def test_wrong_uses_are_refused() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(made("old"))
    with pytest.raises(EbbError, match="no Ebb has the id 99"):
        namespace.rebind(99, made("new"))
    with pytest.raises(TypeError, match="fault handler"):
        namespace.rebind(ebb_id, Part("new"))
    plain = namespace.create(lambda core, ebb_id: object())
    with namespace.cores[0]:
        EbbRef(plain)()
        with pytest.raises(EbbError, match="only a Representative"):
            namespace.rebind(plain, made("new"))


class Anything(Representative):
    """Would take anything over."""

    def take_over(self, old: object) -> None:
        pass


def well_known() -> EbbNamespace:
    namespace = EbbNamespace()
    clock = VirtualClock()
    interrupts = VirtualInterrupts(clock)
    namespace.install(BUFFER_POOL, lambda core, ebb_id: BufferPool(1 << 20, 1 << 16))
    namespace.install(TIMER, lambda core, ebb_id: TimerWheel())
    namespace.install(EVENT_MANAGER, lambda core, ebb_id: EventManager(clock, interrupts))
    namespace.install(NETWORK_MANAGER, lambda core, ebb_id: NetworkManager())
    namespace.install(CONGESTION_CONTROL, lambda core, ebb_id: Reno())
    return namespace


@pytest.mark.parametrize("ebb_id", [EVENT_MANAGER, TIMER, BUFFER_POOL, NETWORK_MANAGER, CONGESTION_CONTROL])
def test_compiled_code_gets_nothing_of_another_class(ebb_id: int) -> None:
    """It casts what it finds there without looking."""
    namespace = well_known()
    with namespace.cores[0]:
        old = EbbRef(ebb_id)()
        with pytest.raises(EbbError, match="cannot"):
            namespace.rebind(ebb_id, lambda core, ebb_id: Anything())
        assert EbbRef(ebb_id)() is old
    for each in (NETWORK_MANAGER, CONGESTION_CONTROL, EVENT_MANAGER, TIMER, BUFFER_POOL):
        namespace.destroy(each)


def test_the_pool_is_not_replaced() -> None:
    namespace = well_known()
    with namespace.cores[0]:
        pool = EbbRef(BUFFER_POOL)()
        with pytest.raises(EbbError, match="the buffer pool cannot be replaced: frames"):
            namespace.rebind(BUFFER_POOL, lambda core, ebb_id: BufferPool(1 << 20, 1 << 16))
        assert EbbRef(BUFFER_POOL)() is pool
    namespace.destroy(BUFFER_POOL)


CORES = 3


class Rebinding(RuleBasedStateMachine):
    """Against a model: what a core's representative is called and holds."""

    def __init__(self) -> None:
        super().__init__()
        self.namespace = EbbNamespace(CORES)
        self.ebb_id = self.namespace.create(self.handler("kind0", ""))
        self.kind = "kind0"  # that faults make
        self.held: dict[int, tuple[str, list[int]]] = {}
        self.due: list[list[tuple[str, str]]] = [[] for _ in range(CORES)]
        self.count = 0

    def handler(self, kind: str, fails: str) -> Callable[[Core, int], Part]:
        def make(core: Core, ebb_id: int) -> Part:
            if fails == "handler":
                raise ValueError(kind)
            return Part(kind, fails)

        return make

    @rule(core=st.integers(0, CORES - 1))
    def use(self, core: int) -> None:
        self.count += 1
        with self.namespace.cores[core]:
            EbbRef(self.ebb_id)().items.append(self.count)
        self.held.setdefault(core, (self.kind, []))[1].append(self.count)

    def model(self, core: int, kind: str, fails: str) -> bool:
        if core in self.held:
            if fails:
                return False
            self.held[core] = (kind, self.held[core][1])
        self.kind = kind
        return True

    @rule(core=st.integers(-1, CORES - 1), fails=st.sampled_from(["", "", "handler", "take_over"]))
    def rebind(self, core: int, fails: str) -> None:
        self.count += 1
        kind = f"kind{self.count}"
        if core not in self.held:
            fails = ""  # faulting with a handler that raises is another matter
        handler = self.handler(kind, fails)
        if core < 0:
            assert not self.namespace.rebind(self.ebb_id, self.handler(kind, ""))
            later = [(kind, "")]
        else:
            with self.namespace.cores[core]:
                if not self.model(core, kind, fails):
                    with pytest.raises(ValueError):
                        self.namespace.rebind(self.ebb_id, handler)
                    return
                assert self.namespace.rebind(self.ebb_id, handler)
            later = [(kind, fails)]
        for index, due in enumerate(self.due):
            if index != core:
                due.extend(later)

    @precondition(lambda self: any(self.due))
    @rule(core=st.integers(0, CORES - 1))
    def end_of_turn(self, core: int) -> None:
        with self.namespace.cores[core] as running:
            assert running.rebind_due() == bool(self.due[core])
        if self.due[core]:
            self.model(core, *self.due[core].pop(0))

    @invariant()
    def same_as_model(self) -> None:
        found = self.namespace.representatives(self.ebb_id)
        assert {core: (part.name, part.items) for core, part in found.items()} == self.held
        for core, part in found.items():
            assert part.core is self.namespace.cores[core]


TestRebinding = Rebinding.TestCase
TestRebinding.settings = settings(max_examples=100, stateful_step_count=30)
