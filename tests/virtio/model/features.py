"""Feature bits (VIRTIO 1.2, 5.1.3 and 6), what they depend on, and the sets that known devices offer, by name."""

from collections.abc import Iterable

NUMBERS = {
    "CSUM": 0,
    "GUEST_CSUM": 1,
    "CTRL_GUEST_OFFLOADS": 2,
    "MTU": 3,
    "MAC": 5,
    "GUEST_TSO4": 7,
    "GUEST_TSO6": 8,
    "GUEST_ECN": 9,
    "GUEST_UFO": 10,
    "HOST_TSO4": 11,
    "HOST_TSO6": 12,
    "HOST_ECN": 13,
    "HOST_UFO": 14,
    "MRG_RXBUF": 15,
    "STATUS": 16,
    "CTRL_VQ": 17,
    "CTRL_RX": 18,
    "CTRL_VLAN": 19,
    "CTRL_RX_EXTRA": 20,
    "GUEST_ANNOUNCE": 21,
    "MQ": 22,
    "CTRL_MAC_ADDR": 23,
    "INDIRECT_DESC": 28,
    "EVENT_IDX": 29,
    "VERSION_1": 32,
    "ACCESS_PLATFORM": 33,
    "RING_PACKED": 34,
    "IN_ORDER": 35,
    "ORDER_PLATFORM": 36,
    "SR_IOV": 37,
    "NOTIFICATION_DATA": 38,
    "NOTIF_CONFIG_DATA": 39,
    "RING_RESET": 40,
    "NOTF_COAL": 53,
    "GUEST_USO4": 54,
    "GUEST_USO6": 55,
    "HOST_USO": 56,
    "HASH_REPORT": 57,
    "GUEST_HDRLEN": 59,
    "RSS": 60,
    "RSC_EXT": 61,
    "STANDBY": 62,
    "SPEED_DUPLEX": 63,
}
NAMES = {number: name for name, number in NUMBERS.items()}

# 5.1.3.1: each needs one of those in each tuple.
NEEDS = {
    "GUEST_TSO4": ("GUEST_CSUM",),
    "GUEST_TSO6": ("GUEST_CSUM",),
    "GUEST_ECN": ("GUEST_TSO4", "GUEST_TSO6"),
    "GUEST_UFO": ("GUEST_CSUM",),
    "GUEST_USO4": ("GUEST_CSUM",),
    "GUEST_USO6": ("GUEST_CSUM",),
    "HOST_TSO4": ("CSUM",),
    "HOST_TSO6": ("CSUM",),
    "HOST_ECN": ("HOST_TSO4", "HOST_TSO6"),
    "HOST_UFO": ("CSUM",),
    "HOST_USO": ("CSUM",),
    "CTRL_RX": ("CTRL_VQ",),
    "CTRL_VLAN": ("CTRL_VQ",),
    "GUEST_ANNOUNCE": ("CTRL_VQ",),
    "MQ": ("CTRL_VQ",),
    "CTRL_MAC_ADDR": ("CTRL_VQ",),
    "NOTF_COAL": ("CTRL_VQ",),
    "RSS": ("CTRL_VQ",),
    "RSC_EXT": ("HOST_TSO4", "HOST_TSO6"),
}

_OFFLOADS = "CSUM GUEST_CSUM GUEST_TSO4 GUEST_TSO6 GUEST_ECN GUEST_UFO HOST_TSO4 HOST_TSO6 HOST_ECN HOST_UFO"
_QEMU = "CTRL_GUEST_OFFLOADS MAC MRG_RXBUF STATUS CTRL_VQ CTRL_RX CTRL_VLAN CTRL_RX_EXTRA GUEST_ANNOUNCE"
_QEMU += " CTRL_MAC_ADDR INDIRECT_DESC EVENT_IDX VERSION_1 RING_RESET"
_FIRECRACKER = "GUEST_CSUM CSUM GUEST_TSO4 GUEST_TSO6 GUEST_UFO HOST_TSO4 HOST_TSO6 HOST_UFO MAC VERSION_1 EVENT_IDX"

# What these offer without options, on a tap with a header; what is added or taken away is said in the name.
SETS = {
    # QEMU 7.2, virtio-net-pci or virtio-net-device with force-legacy=false.
    "qemu": f"{_OFFLOADS} {_QEMU}",
    "qemu-packed": f"{_OFFLOADS} {_QEMU} RING_PACKED",
    "qemu-mq": f"{_OFFLOADS} {_QEMU} MQ",
    "qemu-mtu": f"{_OFFLOADS} {_QEMU} MTU SPEED_DUPLEX",
    "qemu-user": f"{_QEMU}",  # slirp takes no offloads
    "qemu-no-mrg": f"{_OFFLOADS} {_QEMU}".replace(" MRG_RXBUF", ""),
    "qemu-no-event": f"{_OFFLOADS} {_QEMU}".replace(" EVENT_IDX", ""),
    # QEMU 8 on: Linux 6.2's taps cut UDP.
    "qemu-uso": f"{_OFFLOADS} {_QEMU} HOST_USO GUEST_USO4 GUEST_USO6",
    # Firecracker before and since 1.11 (MRG_RXBUF), 1.13 (IN_ORDER of its split rings).
    "firecracker": _FIRECRACKER,
    "firecracker-mrg": f"{_FIRECRACKER} MRG_RXBUF IN_ORDER",
    "least": "VERSION_1",
    "mac": "VERSION_1 MAC",
    "all": " ".join(
        name
        for name in NUMBERS
        if name not in ("ACCESS_PLATFORM", "SR_IOV", "NOTIFICATION_DATA", "NOTIF_CONFIG_DATA", "HASH_REPORT", "RSS")
    ),
}


def bits(names: str | Iterable[str]) -> int:
    """`names`: of features or of SETS, in a string or a list; `-NAME` takes one away."""
    value = 0
    for name in names.split() if isinstance(names, str) else names:
        if name in SETS:
            value |= bits(SETS[name])
        elif name.startswith("-"):
            value &= ~(1 << NUMBERS[name[1:]])
        else:
            value |= 1 << NUMBERS[name]
    return value


def names(value: int) -> list[str]:
    return [NAMES.get(number, f"bit {number}") for number in range(value.bit_length()) if value >> number & 1]


def unmet(value: int) -> list[str]:
    """What of `value` needs a feature that is not in it (2.2.1)."""
    return [
        f"{name} without {' or '.join(needs)}"
        for name, needs in NEEDS.items()
        if value & bits([name]) and not value & bits(needs)
    ]
