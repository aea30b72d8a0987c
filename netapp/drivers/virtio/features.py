"""Feature bits (2.2): those of virtqueues and of every device (6), and of a network card (5.1.3); by their numbers."""

INDIRECT_DESC = 28
EVENT_IDX = 29
VERSION_1 = 32
ACCESS_PLATFORM = 33
RING_PACKED = 34
IN_ORDER = 35
ORDER_PLATFORM = 36

CSUM = 0
GUEST_CSUM = 1
MTU = 3
MAC = 5
GUEST_TSO4 = 7
HOST_TSO4 = 11
MRG_RXBUF = 15
STATUS = 16
CTRL_VQ = 17
MQ = 22
GUEST_USO4 = 54
HOST_USO = 56
GUEST_HDRLEN = 59

REQUIRES = {
    GUEST_TSO4: GUEST_CSUM,
    GUEST_USO4: GUEST_CSUM,
    HOST_TSO4: CSUM,
    HOST_USO: CSUM,
    MQ: CTRL_VQ,
}
"""5.1.3.1"""


def having(features: int, *bits: int) -> bool:
    """Whether all of them are among the features."""
    return all(features >> bit & 1 for bit in bits)
