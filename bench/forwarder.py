"""A driver's instructions. The interface is in the `.pxd`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")


class Forwarder:
    def __cinit__(self, queue: Queue):
        self.queue = queue
        queue.set_receiver(self)

    def receive_frame(self, frame):
        if not self.queue.transmit(frame):
            self.refused += 1
            frame.drop_views()
        return 0

    def measured_turn(self, budget):
        """callgrind counts what happens within this function."""
        done: cython.int = self.queue.poll(budget)
        self.queue.flush()
        return done

    def turn(self, budget, measured=False):
        done: cython.int
        if measured:
            return self.measured_turn(budget)
        done = self.queue.poll(budget)
        self.queue.flush()
        return done
