"""What the network layer counts on one core. The names are COUNTERS in manager.py."""
from libc.stdint cimport uint64_t

cdef struct net_counters_t:
    uint64_t frames_received
    uint64_t frames_truncated
    uint64_t frames_not_ours             # to another station, or to a group that we are not in
    uint64_t frames_unknown_type
    uint64_t frames_unknown_vlan         # with a tag that no interface has
    uint64_t arp_received
    uint64_t arp_truncated               # these four in the order of netapp.wire.arp's reasons
    uint64_t arp_bad_type
    uint64_t arp_bad_length
    uint64_t arp_bad_operation
    uint64_t arp_bad_sender              # an address that nobody on this network can have
    uint64_t arp_conflict                # somebody else says that our address is his
    uint64_t arp_defences                # announcements because of that
    uint64_t arp_announcements           # of addresses taken into use
    uint64_t addresses_lost              # given up, or not taken into use, because somebody else has them
    uint64_t arp_requests_sent           # those for announcing and probing too
    uint64_t arp_replies_sent
    uint64_t neighbours_failed           # did not answer
    uint64_t neighbours_moved            # another link address than before
    uint64_t neighbours_evicted          # to make room
    uint64_t waiting_dropped_full        # packets that waited for a neighbour …
    uint64_t waiting_dropped_failed
    uint64_t waiting_dropped_evicted
    uint64_t ipv4_received
    uint64_t ipv4_truncated              # these six in the order of netapp.wire.ipv4's reasons
    uint64_t ipv4_split_header
    uint64_t ipv4_bad_version
    uint64_t ipv4_bad_header_length
    uint64_t ipv4_bad_total_length
    uint64_t ipv4_bad_checksum
    uint64_t ipv4_bad_source
    uint64_t ipv4_bad_options
    uint64_t ipv4_source_routed
    uint64_t ipv4_link_broadcast         # to a group of the link, but to one host of IP
    uint64_t ipv4_not_ours
    uint64_t ipv4_other_interface        # to the address of another interface of ours
    uint64_t ipv4_fragments              # received
    uint64_t ipv4_fragments_bad_length   # of no bytes, or not a multiple of 8 where more follow
    uint64_t ipv4_fragments_oversized    # beyond the 65,535 bytes of a datagram
    uint64_t ipv4_fragments_tiny         # that part TCP's header (RFC 1858)
    uint64_t ipv4_fragments_duplicate
    uint64_t ipv4_fragments_refused      # of a datagram that was dropped for an overlap or a limit
    uint64_t ipv4_fragments_exhausted    # for which there was no memory, or only the reserve
    uint64_t ipv4_reassembled            # datagrams; of those that were dropped:
    uint64_t ipv4_reassembly_overlaps
    uint64_t ipv4_reassembly_limits      # too many fragments, or too much pinned by them
    uint64_t ipv4_reassembly_evicted     # for others, at the limit of all or of a source
    uint64_t ipv4_reassembly_timeouts
    uint64_t ipv4_unknown_protocol
    uint64_t ipv4_sent
    uint64_t ipv4_no_route
    uint64_t ipv4_oversized
    uint64_t ipv4_too_big                # not to be cut, and larger than the path MTU
    uint64_t ipv4_fragmented             # packets that went out in fragments
    uint64_t ipv4_fragments_sent
    uint64_t ipv4_interface_closed
    uint64_t icmp_received
    uint64_t icmp_truncated
    uint64_t icmp_bad_checksum
    uint64_t icmp_echoed
    uint64_t icmp_echo_to_group          # not answered
    uint64_t icmp_errors_received        # of these …
    uint64_t icmp_errors_malformed       # quote no packet, or too little of one
    uint64_t icmp_errors_not_ours        # quote one that is not from where they came to
    uint64_t icmp_errors_fragment        # quote a fragment that is not the first
    uint64_t icmp_errors_bad_mtu         # would not let the quoted packet have been too big
    uint64_t icmp_errors_unmatched       # fit nothing that is under way
    uint64_t icmp_errors_accepted
    uint64_t icmp_errors_sent
    uint64_t icmp_errors_forbidden       # not sent: RFC 1122, 3.2.2
    uint64_t icmp_errors_limited         # not sent: too many
    uint64_t icmp_source_quench          # ignored (RFC 6633)
    uint64_t icmp_redirects              # ignored
    uint64_t icmp_not_handled            # of other types
    uint64_t transmit_full               # ARP, ICMP and waiting packets that the device's ring had no room for
    uint64_t transmit_exhausted          # packets for whose headers the pool had no slot
