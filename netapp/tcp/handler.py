"""The callbacks of a connection, and how they are bound when a class defines them in Python."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from netapp.event.binding import python_method


class TcpHandler:
    def connected(self):
        """The connection is established: both sides may send."""

    def receive(self, data):
        """In-order bytes arrived."""

    def peer_closed(self):
        """The peer will send no more."""
        self.close()

    def writable(self):
        """The send queue, which had been full, has room."""

    def urgent(self, left):
        """The peer has urgent data: `left` bytes from the next one that receive() is given (RFC 9293, 3.8.5). Called
        as soon as that is known, again when it moves on, and while paused too. One receive() ends at the mark."""

    def delivery_delayed(self):
        """The peer has not acknowledged what was sent three times again (R1, RFC 9293, 3.8.3); it may yet."""

    def soft_error(self, error):
        """ICMP says that something on the way did not let a segment through (RFC 9293, 3.9.1.8): an OSError, whose
        errno tells what. It may pass: the connection goes on."""

    def closed(self, error):
        """The connection has ended. `error` is None, or an OSError: ConnectionResetError (by the peer),
        ConnectionRefusedError, TimeoutError, ConnectionAbortedError (abort() was called, or a callback failed)."""

    def send(self, data):
        """Queues a Chain, which is emptied, or an immutable bytes-like, which must not change until acknowledged.
        Raises SendQueueFull (outside receive() only), ConnectionError when closed for sending."""
        if self.connection is None:
            raise ConnectionError("send() without a connection")
        return self.connection.send(data)

    def close(self):
        """Sends FIN after the queue; data of the peer still arrives. Nothing if closed already."""
        if self.connection is not None:
            self.connection.close()

    def abort(self):
        """Sends RST; closed() follows."""
        if self.connection is not None:
            self.connection.abort()

    def pause(self):
        """No receive() until resume(): data stays in the stack and the window shrinks."""
        if self.connection is not None:
            self.connection.pause()

    def resume(self):
        if self.connection is not None:
            self.connection.resume()


class HandlerBinding:
    pass


def bind_class(handler_class):
    binding: HandlerBinding = HandlerBinding.__new__(HandlerBinding)
    binding.connected = python_method(handler_class, "connected")
    binding.receive = python_method(handler_class, "receive")
    binding.peer_closed = python_method(handler_class, "peer_closed")
    binding.writable = python_method(handler_class, "writable")
    binding.urgent = python_method(handler_class, "urgent")
    binding.delivery_delayed = python_method(handler_class, "delivery_delayed")
    binding.soft_error = python_method(handler_class, "soft_error")
    binding.closed = python_method(handler_class, "closed")
    return binding
