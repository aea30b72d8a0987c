"""The bytes of streams: a pattern by which each byte shows where it belongs."""

_PERIOD = bytes(range(33, 127)) + b"netapp!"  # 101 bytes, a prime: no power of 2 hides a shift
_REPEATED = _PERIOD * (2 + 65536 // len(_PERIOD))


def pattern(position: int, length: int) -> bytes:
    """`length` bytes of the stream from `position` on."""
    begin = position % len(_PERIOD)
    if begin + length > len(_REPEATED):
        return (_PERIOD * (2 + length // len(_PERIOD)))[begin : begin + length]
    return _REPEATED[begin : begin + length]
