"""Addresses as text and as the 16 bytes of `address_t`."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

import ipaddress

from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.netapp.wire.bytes import swap32


def parse_address(text):
    number: uint32_t
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address: write four decimal numbers, as in 10.99.0.2") from None
    if found.version != 4:
        raise ValueError(f"{found} is an IPv6 address: only IPv4 is supported")
    number = int(found)
    return mapped(swap32(number))


def format_address(address):
    ipv4: uint32_t = ipv4_of(address)
    if not is_ipv4(address):
        packed: bytes = PyBytes_FromStringAndSize(cython.cast(cython.p_char, cython.address(address)), 16)
        return str(ipaddress.IPv6Address(packed))
    return f"{ipv4 & 255}.{ipv4 >> 8 & 255}.{ipv4 >> 16 & 255}.{ipv4 >> 24}"
