"""TCP options."""

import cython

if not cython.compiled:
    raise ImportError(f"{__name__} runs compiled only: `make build` compiles it")

from cython.cimports.libc.stdint import uint32_t
from cython.cimports.netapp.wire.bytes import load16, store16
from cython.cimports.netapp.wire.tcp import OPTION_END, OPTION_MSS, OPTION_NOP, OPTION_WINDOW_SCALE


def parse_options(at, length, found):
    i: uint32_t = 0
    size: uint32_t
    found.mss = 0
    found.has_window_scale = False
    found.window_scale = 0
    while i < length:
        if at[i] == OPTION_END:
            return True
        if at[i] == OPTION_NOP:
            i += 1
            continue
        # RFC 9293, 3.1 (MUST-68): every other option has a length, which counts its first two bytes.
        if i + 2 > length or at[i + 1] < 2 or i + at[i + 1] > length:
            return False
        size = at[i + 1]
        if at[i] == OPTION_MSS and size == 4:
            found.mss = load16(at + i + 2)
        elif at[i] == OPTION_WINDOW_SCALE and size == 3:
            found.has_window_scale = True
            # RFC 7323, 2.3: a shift above 14 is taken as 14.
            found.window_scale = at[i + 2] if at[i + 2] < 14 else 14
        i += size
    return True


def write_syn_options(at, mss, scaling, window_scale):
    at[0] = OPTION_MSS
    at[1] = 4
    store16(at + 2, mss)
    if scaling:
        at[4] = OPTION_NOP
        at[5] = OPTION_WINDOW_SCALE
        at[6] = 3
        at[7] = window_scale
    else:
        at[4] = OPTION_NOP
        at[5] = OPTION_NOP
        at[6] = OPTION_NOP
        at[7] = OPTION_NOP
