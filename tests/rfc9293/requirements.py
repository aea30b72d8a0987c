"""The requirements of RFC 9293, by the labels of its appendix B."""

from tests.conformance.requirement import NOT_APPLICABLE, NOT_MET, NOT_TAKEN, OPEN, Document, Requirement

_SOURCE_ROUTE = "packets with a source route are dropped, as RFC 7126 (4.3, 4.4) advises; none can be given either"
_SOON = "being built"

DOCUMENT = Document(
    "RFC 9293",
    "Transmission Control Protocol",
    "rfc9293",
    (
        # 3.1, header format
        Requirement("MUST-1", "3.1", "the window is an unsigned number"),
        Requirement("REC-1", "3.1", "windows are kept in 32 bits"),
        Requirement("MUST-2", "3.1", "the sender makes the checksum"),
        Requirement("MUST-3", "3.1", "the receiver checks it"),
        Requirement("MUST-4", "3.1", "End of Option List, No-Operation and MSS are supported"),
        Requirement("MUST-5", "3.1", "an option may come in any segment"),
        Requirement("MUST-6", "3.1", "an unknown option is skipped"),
        Requirement("MUST-68", "3.1", "every option but those two has a length"),
        Requirement("MUST-7", "3.1", "an illegal option length does no harm"),
        Requirement("MUST-64", "3.1", "options need no alignment"),
        Requirement("MUST-69", "3.1", "the header is padded with zeros"),
        # 3.2, options
        Requirement("MUST-65", "3.2", "MSS is sent on SYN segments only"),
        # 3.4.1, initial sequence numbers
        Requirement("MUST-8", "3.4.1", "initial sequence numbers follow a clock"),
        Requirement("SHLD-1", "3.4.1", "and a keyed hash of the connection"),
        Requirement("MUST-9", "3.4.1", "which nobody outside can compute"),
        # 3.5, establishing a connection
        Requirement("MUST-10", "3.5", "simultaneous open"),
        Requirement("MUST-11", "3.5", "SYN-RECEIVED knows whether it came of LISTEN or of SYN-SENT"),
        Requirement("SHLD-2", "3.5.3", "a RST with text is taken"),
        # 3.6, closing a connection
        Requirement("MUST-12", "3.6", "an application can tell a close from an abort"),
        Requirement("MAY-1", "3.6.1", "half-duplex close", NOT_TAKEN, "close() leaves the other direction open"),
        Requirement(
            "SHLD-3",
            "3.6.1",
            "data lost by a half-duplex close is told by a RST",
            NOT_APPLICABLE,
            "there is no half-duplex close (MAY-1)",
        ),
        Requirement(
            "MUST-13",
            "3.6.1",
            "TIME-WAIT lasts twice the maximum segment lifetime",
            reason="which is taken as 30 s (`TcpConfig.time_wait`), where 3.4.2 chose 2 minutes",
        ),
        Requirement("MAY-2", "3.6.1", "a new SYN, of higher numbers, is taken in TIME-WAIT"),
        Requirement("SHLD-4", "3.6.1", "TIME-WAIT is shortened by timestamps", NOT_MET, "no timestamps yet (RFC 7323)"),
        # 3.7, segmentation
        Requirement("MUST-14", "3.7.1", "the MSS option is sent and received"),
        Requirement("SHLD-5", "3.7.1", "it is sent unless it would be 536"),
        Requirement("MAY-3", "3.7.1", "and may be sent always"),
        Requirement("MUST-15", "3.7.1", "without the option segments hold 536 bytes"),
        Requirement("MUST-16", "3.7.1", "the effective MSS is the least of the peer's and of what IP may send"),
        Requirement("MUST-67", "3.7.1", "the MSS sent is at most what IP can receive, less 20"),
        Requirement(
            "SHLD-6",
            "3.7.3",
            "where the MTU varies, the least of it gives the MSS",
            NOT_APPLICABLE,
            "no device's varies",
        ),
        Requirement("SHLD-7", "3.7.4", "the Nagle algorithm", reason="where it is asked for (`Connection.nagle`)"),
        Requirement("MUST-17", "3.7.4", "it can be turned off for a connection"),
        # 3.8.1 to 3.8.3, retransmission
        Requirement(
            "MUST-18",
            "3.8.1",
            "the RTO is that of RFC 6298, with Karn's algorithm",
            reason="its least value is 200 ms (`TcpConfig.minimum_rto`), where RFC 6298 (2.4) advises 1 s",
        ),
        Requirement(
            "MAY-4", "3.8.1", "a retransmission has the same IP identification", NOT_TAKEN, "identification is always 0"
        ),
        Requirement("MUST-19", "3.8.2", "exponential back-off, slow start and congestion avoidance"),
        Requirement("MAY-18", "3.8.2", "other congestion control may be chosen"),
        Requirement("SHLD-8", "3.8.2", "ECN", NOT_MET, "not built; ECE and CWR are ignored"),
        Requirement("MUST-20", "3.8.3", "at R1 retransmissions IP is told, at R2 the connection ends"),
        Requirement("MUST-21", "3.8.3", "an application can set R2"),
        Requirement("SHLD-9", "3.8.3", "between R1 and R2 an application is told"),
        Requirement("SHLD-10", "3.8.3", "R1 is at least 3 retransmissions"),
        Requirement("SHLD-11", "3.8.3", "R2 is at least 100 s"),
        Requirement("MUST-22", "3.8.3", "a SYN is retransmitted, and given up, by the same rules"),
        Requirement("MUST-23", "3.8.3", "R2 of a SYN is at least 3 minutes"),
        # 3.8.4, keep-alive
        Requirement("MAY-5", "3.8.4", "keep-alives"),
        Requirement("MUST-24", "3.8.4", "an application can ask for them"),
        Requirement("MUST-25", "3.8.4", "without that there are none"),
        Requirement("MUST-26", "3.8.4", "one is sent only when nothing came for an interval"),
        Requirement("MUST-27", "3.8.4", "which can be configured"),
        Requirement("MUST-28", "3.8.4", "and is at least two hours by default"),
        Requirement("MUST-29", "3.8.4", "one without an answer does not end the connection"),
        Requirement("SHLD-12", "3.8.4", "it holds no data"),
        Requirement("MAY-6", "3.8.4", "or a garbage octet, when configured", NOT_TAKEN, "nobody asked for it"),
        # 3.8.5, urgent data
        Requirement("MUST-30", "3.8.5", "the urgent pointer is supported"),
        Requirement("MUST-62", "3.8.5", "it points to the octet behind the urgent data"),
        Requirement("MUST-31", "3.8.5", "urgent data may be of any length"),
        Requirement("MUST-32", "3.8.5", "an application is told at once"),
        Requirement("MUST-33", "3.8.5", "and can learn how much of it there is"),
        Requirement(
            "SHLD-13",
            "3.8.5",
            "new applications do not send urgent data",
            NOT_APPLICABLE,
            "it is asked of applications",
        ),
        # 3.8.6, windows
        Requirement("SHLD-14", "3.8.6", "the right edge of a window offered does not move back"),
        Requirement("MUST-34", "3.8.6", "a peer may shrink its window"),
        Requirement("SHLD-15", "3.8.6", "then no new data is sent"),
        Requirement("SHLD-16", "3.8.6", "old data within the window is retransmitted"),
        Requirement(
            "MAY-7", "3.8.6", "so may be old data beyond it", NOT_TAKEN, "what the window has room for is sent"
        ),
        Requirement("SHLD-17", "3.8.6", "data beyond the window does not time the connection out"),
        Requirement("MUST-35", "3.8.6", "a window that shrinks to zero is probed"),
        Requirement("MUST-36", "3.8.6.1", "a zero window is probed"),
        Requirement("MAY-8", "3.8.6.1", "a receiver may keep its window closed for ever"),
        Requirement("MUST-37", "3.8.6.1", "as long as probes are answered the connection stays"),
        Requirement("SHLD-29", "3.8.6.1", "the first probe after one RTO"),
        Requirement("SHLD-30", "3.8.6.1", "exponential back-off of the others"),
        Requirement("MUST-66", "3.8.6.1", "RST and URG are processed at a zero window"),
        Requirement("MUST-38", "3.8.6.2.1", "a sender avoids silly windows"),
        Requirement("MUST-39", "3.8.6.2.2", "so does a receiver"),
        Requirement("SHLD-18", "3.8.6.3", "acknowledgments are delayed"),
        Requirement("MUST-40", "3.8.6.3", "by less than 0.5 s"),
        Requirement("SHLD-19", "3.8.6.3", "every second full-sized segment is acknowledged"),
        # 3.9.1, the user's interface
        Requirement("MUST-41", "3.9.1.1", "a passive OPEN does not affect connections that are there"),
        Requirement("MUST-42", "3.9.1.1", "LISTEN on a port that a connection is opening from"),
        Requirement("MUST-43", "3.9.1.1", "the local address can be given"),
        Requirement("MUST-44", "3.9.1.1", "else IP chooses it for the SYN"),
        Requirement("MUST-45", "3.9.1.1", "and it stays the same"),
        Requirement("MUST-46", "3.9.1.1", "an OPEN to a broadcast or multicast address is an error"),
        Requirement("MAY-15", "3.9.1.2", "SEND may say PUSH", NOT_TAKEN, "what is sent is sent at the turn's end"),
        Requirement("MUST-60", "3.9.1.2", "without that data is not buffered for ever"),
        Requirement("MUST-61", "3.9.1.2", "and the last segment of what is queued has PSH"),
        Requirement("SHLD-27", "3.9.1.2", "successive pushes share a segment"),
        Requirement("MAY-16", "3.9.1.2", "data that is not pushed may be gathered"),
        Requirement("SHLD-28", "3.9.1.2", "segments are as large as they may be"),
        Requirement(
            "MAY-17",
            "3.9.1.3",
            "a received PSH may be passed up",
            NOT_TAKEN,
            "data goes up when it comes, pushed or not",
        ),
        Requirement(
            "MAY-14", "3.9.1.7", "FLUSH", NOT_TAKEN, "what was given to send() is sent, or the connection aborted"
        ),
        Requirement("MUST-47", "3.9.1.8", "soft errors are reported to the application", OPEN, _SOON),
        Requirement("SHLD-20", "3.9.1.8", "unless it wants none", OPEN, _SOON),
        Requirement("MUST-48", "3.9.1.9", "an application can set the Diffserv field"),
        Requirement("SHLD-21", "3.9.1.9", "also while the connection lasts"),
        Requirement("SHLD-22", "3.9.1.9", "IP gets it unchanged"),
        Requirement(
            "SHLD-23", "3.9.2", "applications do not change it during a connection", NOT_APPLICABLE, "as SHLD-13"
        ),
        Requirement("MAY-9", "3.9.1.9", "the one received may be passed up", NOT_TAKEN, "nobody asked for it"),
        # 3.9.2, the interface to IP
        Requirement("MUST-49", "3.9.2", "the time to live is configurable"),
        Requirement("MUST-50", "3.9.2", "IP options that TCP does not know are ignored"),
        Requirement("MAY-10", "3.9.2", "the Timestamp option of IP", NOT_TAKEN, "ignored, as RFC 7126 (4.7) allows"),
        Requirement("MAY-11", "3.9.2", "the Record Route option of IP", NOT_TAKEN, "ignored, as RFC 7126 (4.5) allows"),
        Requirement("MUST-51", "3.9.2.1", "an application can give a source route", NOT_MET, _SOURCE_ROUTE),
        Requirement("MUST-52", "3.9.2.1", "which goes before one received", NOT_MET, _SOURCE_ROUTE),
        Requirement("MUST-53", "3.9.2.1", "a route received is used, reversed, to answer", NOT_MET, _SOURCE_ROUTE),
        Requirement("SHLD-24", "3.9.2.1", "the latest one received", NOT_MET, _SOURCE_ROUTE),
        Requirement("MUST-54", "3.9.2.2", "an ICMP error goes to the connection that it is about", OPEN, _SOON),
        Requirement("MUST-55", "3.9.2.2", "Source Quench is dropped"),
        Requirement("MUST-56", "3.9.2.2", "soft errors do not end a connection", OPEN, _SOON),
        Requirement("SHLD-25", "3.9.2.2", "but an application hears of them", OPEN, _SOON),
        Requirement("SHLD-26", "3.9.2.2", "hard errors end it", OPEN, _SOON),
        Requirement("MUST-63", "3.9.2.3", "a SYN from an invalid address is ignored"),
        Requirement("MUST-57", "3.9.2.3", "a segment to a broadcast or multicast address is dropped silently"),
        # 3.10.7.4, segments arriving
        Requirement("SHLD-31", "3.10.7.4", "segments out of order are kept"),
        Requirement("MAY-13", "3.10.7.4", "and acknowledged at once"),
        Requirement("MUST-58", "3.10.7.4", "acknowledgments are aggregated"),
        Requirement("MUST-59", "3.10.7.4", "all that arrived is processed before one is sent"),
        Requirement("MAY-12", "3.10.7.4", "the protection of RFC 5961 against blind attacks"),
    ),
)
