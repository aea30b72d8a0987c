"""What numbers are called: ICMP types and codes (RFC 792, 1122), TCP options (IANA)."""

ICMP_TYPES = {
    "echo_reply": 0,
    "unreachable": 3,
    "source_quench": 4,
    "redirect": 5,
    "echo_request": 8,
    "time_exceeded": 11,
    "parameter_problem": 12,
    "timestamp_request": 13,
    "timestamp_reply": 14,
}

ICMP_CODES = {
    3: {
        "net_unreachable": 0,
        "host_unreachable": 1,
        "protocol_unreachable": 2,
        "port_unreachable": 3,
        "frag_needed": 4,
        "source_route_failed": 5,
        "net_unknown": 6,
        "host_unknown": 7,
        "net_prohibited": 9,
        "host_prohibited": 10,
        "packet_filtered": 13,
    },
    11: {"exceeded_in_transit": 0, "exceeded_reassembly": 1},
    12: {"pointer": 0},
}

EOL, NOP, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK = range(6)
TIMESTAMP, MD5, FAST_OPEN, EXPERIMENT = 8, 19, 34, 254
FAST_OPEN_MAGIC = b"\xf9\x89"


def icmp_name(kind: int, code: int) -> str:
    name = next((name for name, value in ICMP_TYPES.items() if value == kind), f"type_{kind}")
    codes = ICMP_CODES.get(kind, {})
    return " ".join([name, *(text for text, value in codes.items() if value == code)]) if codes else name
