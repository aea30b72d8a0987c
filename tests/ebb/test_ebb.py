import gc
import weakref

import pytest

from netapp.ebb.core import (
    BUFFER_POOL,
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
from netapp.event.timer import TimerWheel


class Part(Representative):
    """Remembers where it was made, and what it was told."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.messages: list[tuple[int | None, bytes]] = []
        self.destroyed_on: list[int | None] = []

    def receive(self, message: bytes) -> None:
        core = running_core()
        self.messages.append((core.index if core else None, message))

    def destroy(self) -> None:
        core = running_core()
        self.destroyed_on.append(core.index if core else None)


def make_part(core: Core, ebb_id: int) -> Part:
    return Part(core.index)


def test_each_core_faults_in_its_own_representative_once() -> None:
    namespace = EbbNamespace(3)
    faults: list[tuple[int, int]] = []

    def handler(core: Core, ebb_id: int) -> Part:
        faults.append((core.index, ebb_id))
        return make_part(core, ebb_id)

    ebb_id = namespace.create(handler)
    parts = []
    for index in (2, 0):
        with namespace.cores[index] as core:
            ref = EbbRef(ebb_id)
            part = ref()
            assert ref() is part and EbbRef(ebb_id)() is part
            assert part.core is core and part.ebb_id == ebb_id and part.index == index
            parts.append(part)
    assert parts[0] is not parts[1]
    assert faults == [(2, ebb_id), (0, ebb_id)]
    assert namespace.representatives(ebb_id) == {2: parts[0], 0: parts[1]}


def test_the_same_reference_reaches_the_running_core() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(make_part)
    with namespace.cores[0]:
        ref = EbbRef(ebb_id)
        assert ref().index == 0
        with namespace.cores[1]:
            assert ref().index == 1
        assert ref().index == 0
    assert repr(ref) == f"EbbRef({ebb_id})"


def test_entering_cores_nests() -> None:
    first, second = EbbNamespace(2), EbbNamespace()
    assert running_core() is None
    with first.cores[0]:
        with second.cores[0]:
            with first.cores[0]:
                assert running_core() is first.cores[0]
            assert running_core() is second.cores[0]
        assert running_core() is first.cores[0]
        with pytest.raises(ValueError), first.cores[1]:
            raise ValueError
        assert running_core() is first.cores[0]
    assert running_core() is None


def test_a_shared_ebb_lives_on_its_owner_and_is_sent_messages() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(make_part, EbbKind.SHARED, owner=1)
    with namespace.cores[0]:
        remote = EbbRef(ebb_id)()
        assert isinstance(remote, RemoteRepresentative) and EbbRef(ebb_id)() is remote
        assert namespace.representatives(ebb_id) == {}
        remote.send("receive", b"first")
        remote.send("receive", b"second")
    with namespace.cores[1] as owner:
        assert owner.deliver() == 1
        part = EbbRef(ebb_id)()
        assert part.messages == [(1, b"first")], "one at a time"
        assert owner.deliver() == 1 and owner.deliver() == 0
        assert part.messages == [(1, b"first"), (1, b"second")]
    assert namespace.representatives(ebb_id) == {1: part}


def test_a_message_wakes_the_core() -> None:
    namespace = EbbNamespace(2)
    ebb_id = namespace.create(make_part)
    woken: list[int] = []
    namespace.cores[1].wake = lambda: woken.append(1)
    namespace.cores[1].post(ebb_id, "receive", b"")
    assert woken == [1]


def test_a_message_whose_method_raises_is_gone_and_the_next_is_not() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(make_part)
    with namespace.cores[0] as core:
        core.post(ebb_id, "missing", b"")
        core.post(ebb_id, "receive", b"next")
        with pytest.raises(AttributeError):
            core.deliver()
        core.deliver()
        assert EbbRef(ebb_id)().messages == [(0, b"next")]


def test_destroy_tells_every_representative_on_its_core() -> None:
    namespace = EbbNamespace(3)
    ebb_id = namespace.create(make_part)
    parts = []
    for index in (0, 2):
        with namespace.cores[index]:
            parts.append(EbbRef(ebb_id)())
    with namespace.cores[1]:
        namespace.destroy(ebb_id)
        assert running_core() is namespace.cores[1]
    assert [part.destroyed_on for part in parts] == [[0], [2]]
    assert all(part.core is None for part in parts)
    assert namespace.representatives(ebb_id) == {}
    with namespace.cores[0], pytest.raises(EbbError):
        EbbRef(ebb_id)
    with pytest.raises(EbbError):
        namespace.destroy(ebb_id)


def test_destroy_releases_the_representatives() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(make_part)
    gc.disable()
    try:
        with namespace.cores[0]:
            gone = weakref.ref(EbbRef(ebb_id)())
        assert gone() is not None
        namespace.destroy(ebb_id)
        assert gone() is None
    finally:
        gc.enable()


def test_a_destroy_that_raises_still_removes_the_representative() -> None:
    class Failing(Representative):
        def destroy(self) -> None:
            raise ValueError("deliberate")

    namespace = EbbNamespace(2)
    ebb_id = namespace.create(lambda core, _: Failing() if core.index == 0 else Part(core.index))
    parts = []
    for core in namespace.cores:
        with core:
            parts.append(EbbRef(ebb_id)())
    with pytest.raises(ValueError, match="deliberate"):
        namespace.destroy(ebb_id)
    assert namespace.representatives(ebb_id) == {}
    assert parts[1].destroyed_on == [1], "the other cores' parts too"
    with pytest.raises(EbbError):
        namespace.destroy(ebb_id)
    assert running_core() is None


def test_ids_are_used_again_and_the_old_representative_is_not() -> None:
    namespace = EbbNamespace()
    first, second = namespace.create(make_part), namespace.create(make_part)
    assert first != second and first != 0
    with namespace.cores[0]:
        old = EbbRef(first)()
        namespace.destroy(first)
        again = namespace.create(make_part)
        assert again == first
        assert EbbRef(again)() is not old


def test_tables_grow_with_the_ids() -> None:
    namespace = EbbNamespace(2)
    with namespace.cores[1]:
        early_id = namespace.create(make_part)
        early = EbbRef(early_id)()
        ids = [namespace.create(make_part) for _ in range(1_000)]
        assert len(set(ids)) == 1_000
        assert {EbbRef(ebb_id)().ebb_id for ebb_id in ids} == set(ids)
        assert EbbRef(early_id)() is early
    with namespace.cores[0]:
        assert EbbRef(ids[-1])().index == 0


def test_well_known_ids() -> None:
    namespace = EbbNamespace()
    namespace.install(BUFFER_POOL, make_part)
    with namespace.cores[0]:
        assert EbbRef(BUFFER_POOL)().ebb_id == BUFFER_POOL
    with pytest.raises(EbbError, match="taken"):
        namespace.install(BUFFER_POOL, make_part)
    namespace.destroy(BUFFER_POOL)
    assert namespace.create(make_part) != BUFFER_POOL, "it is not given to others"
    namespace.install(BUFFER_POOL, make_part)


@pytest.mark.parametrize("ebb_id", [0, 1_000_000])
def test_ids_out_of_range_are_refused(ebb_id: int) -> None:
    namespace = EbbNamespace()
    with pytest.raises(EbbError):
        namespace.install(ebb_id, make_part)
    with namespace.cores[0], pytest.raises(EbbError):
        EbbRef(ebb_id)
    assert namespace.representatives(ebb_id) == {}
    with pytest.raises(EbbError):
        namespace.cores[0].post(ebb_id, "receive", b"")


def test_an_owner_that_does_not_exist_is_refused() -> None:
    with pytest.raises(EbbError, match="owner"):
        EbbNamespace(2).create(make_part, EbbKind.SHARED, owner=2)


def test_a_refused_create_loses_no_id() -> None:
    namespace = EbbNamespace()
    first = namespace.create(make_part)
    namespace.destroy(first)
    with pytest.raises(EbbError):
        namespace.create(make_part, owner=7)
    assert namespace.create(make_part) == first


def test_outside_any_core_references_say_what_to_do() -> None:
    namespace = EbbNamespace()
    ebb_id = namespace.create(make_part)
    with pytest.raises(EbbError):
        EbbRef(ebb_id)
    with namespace.cores[0]:
        ref = EbbRef(ebb_id)
    with pytest.raises(EbbError, match="with core"):
        ref()


def test_a_fault_that_raises_is_tried_again() -> None:
    attempts: list[int] = []

    def handler(core: Core, ebb_id: int) -> Part:
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("not yet")
        return make_part(core, ebb_id)

    namespace = EbbNamespace()
    ebb_id = namespace.create(handler)
    with namespace.cores[0]:
        ref = EbbRef(ebb_id)
        with pytest.raises(OSError):
            ref()
        assert ref().index == 0


def test_fault_handlers_may_refer_to_other_ebbs_but_not_to_their_own() -> None:
    namespace = EbbNamespace()
    below = namespace.create(make_part)
    above = namespace.create(lambda core, _: [EbbRef(below)()])
    with namespace.cores[0]:
        assert EbbRef(above)() == [EbbRef(below)()]
        depth: list[int] = []

        def own(core: Core, ebb_id: int) -> Part:
            depth.append(1)
            if len(depth) < 3:
                EbbRef(ebb_id)()
            return make_part(core, ebb_id)

        itself = namespace.create(own)
        with pytest.raises(EbbError, match="its own"):
            EbbRef(itself)()


def test_counters_are_summed_over_representatives() -> None:
    namespace = EbbNamespace(2)
    namespace.install(TIMER, lambda core, _: TimerWheel())
    uncounted = namespace.create(make_part)
    for core in namespace.cores:
        with core:
            wheel = EbbRef(TIMER)()
            for deadline in range(core.index + 1):
                wheel.call_at(deadline, lambda: None)
            wheel.advance(100)
            assert EbbRef(uncounted)().counters() == {}
            assert list(wheel.counters()) == list(wheel.counter_names)
    assert namespace.counters() == {"TimerWheel": {"fired": 3, "cascaded": 0, "exceptions": 0, "long_handlers": 0}}
