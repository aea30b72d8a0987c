"""How requests are gathered, pipelined, taken in turns, and answered together."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint64_t
from cython.cimports.netapp.event.manager import events
from cython.cimports.netapp.iobuf.chain import Chain
from cython.cimports.netapp.iobuf.cursor import Cursor
from cython.cimports.netapp.tcp.handler import TcpHandler

from netapp.tcp.connection import SendQueueFull

_ENOUGH = cython.declare(uint64_t, 1 << 20)  # bytes of replies in an event, after which others have their turn
_SMALL_PIECE = cython.declare(uint64_t, 1024)  # of a request: copied together with others, for each would pin a slot


class Requests:
    def __init__(self, at_once=20, most_held=32 << 20):
        self.cursor = Cursor()
        self.reply = Chain()
        self.at_once = at_once
        self.most_held = most_held

    def clear(self):
        self.reply.clear()


class RequestHandler:
    def __init__(self, requests):
        self.requests = requests

    def receive(self, data):
        self.requests.bytes_read += data.length
        if self.leaving:
            return
        if self.waiting is None:
            self.work(data, False)
        elif self.yielded:
            self.waiting.append(data)
        else:
            self.arrived(data)

    def peer_closed(self):
        self.peer_left = True
        if not self.yielded:
            self.close()

    def writable(self):
        if self.blocked:
            self.go_on()

    def closed(self, error):
        self.ended = True
        self.end()

    def request(self, cursor, reply):
        raise NotImplementedError(f"{type(self).__name__}.request")

    def completes(self, data):
        return True

    def bound(self, waiting):
        return True

    def stored(self, data):
        return data.stored()

    def refuse(self):
        self.abort()
        return True

    def leave(self):
        if self.working:  # finish() does it, when what was answered is on its way
            self.leaving = True
        else:
            self.end()
            self.close()
        return True

    def abort(self):
        self.ended = self.leaving = True
        TcpHandler.abort(self)

    def end(self):
        self.leaving = True
        self.waiting = None
        return self.let_go()

    def work(self, data, resumed):
        requests = self.requests
        cursor = requests.cursor
        reply = requests.reply
        if reply.length != 0:  # of an event that an exception ended
            reply.clear()
        cursor.reset(data)
        left = requests.at_once
        self.working = True
        while cursor.position != data.length:
            if left == 0 or reply.length >= _ENOUGH:
                self.yielded = True
                break
            left -= 1
            if not self.request(cursor, reply) or self.leaving:
                break
        self.working = False
        return self.finish(data)

    def finish(self, data):
        requests = self.requests
        reply = requests.reply
        start = requests.cursor.position
        requests.cursor.release()
        if reply.length != 0:
            requests.bytes_written += reply.length
            if self.ended:
                reply.clear()
            elif self.connection is not None:
                self.connection.send(reply)
            else:
                self.send(reply)
        if self.leaving:
            self.leave()
        elif start < data.length:
            data.discard(start)
            self.waiting = data
            if self.yielded:
                self.wait_turn()
            else:
                self.hold(data.length)
        return True

    def arrived(self, data):
        length: uint64_t = data.length
        complete: cython.bint = self.completes(data)
        try:
            self.keep(data)
        except MemoryError:
            return self.refuse()
        return self.take_up() if complete else self.hold(length)

    def keep(self, data):
        if data.length < _SMALL_PIECE:
            self.waiting.write(data.tobytes())
        else:
            self.waiting.append(self.stored(data))
        return True

    def take_up(self):
        waiting = self.waiting
        self.waiting = None
        self.let_go()
        return self.work(waiting, False)

    def hold(self, length):
        requests = self.requests
        self.held += length
        requests.held += length
        if requests.held > requests.most_held:
            return self.refuse()
        return self.bound(self.waiting)

    def let_go(self):
        self.requests.held -= self.held
        self.held = 0
        return True

    def wait_turn(self):
        self.requests.yields += 1
        self.pause()
        events().spawn(self.go_on)
        return True

    def go_on(self):
        data: Chain = self.waiting
        self.blocked = False
        if self.leaving:
            return
        try:
            try:
                self.send(b"")
            except SendQueueFull:
                self.blocked = True
                return
            self.yielded = False
            self.waiting = None
            self.work(data, True)
            if not self.yielded:
                self.resume()
                if self.peer_left:
                    self.close()
        except Exception:
            self.abort()
            raise
