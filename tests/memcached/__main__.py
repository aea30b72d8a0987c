"""python -m tests.memcached: what Debian's memcached and ours answer differently, and which replies were reached."""

import argparse
import sys
from functools import partial
from itertools import chain

from bench.debian import fetched
from tests.memcached import datagrams
from tests.memcached.cells import NOT_BUILT, UDP
from tests.memcached.peers import debian_and_ours
from tests.memcached.runs import GENERATED, differences
from tests.memcached.table import Table
from tests.support.appliances import BUILDS
from tests.support.namespaces import network_namespace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.memcached", description=__doc__)
    parser.add_argument("--build", choices=BUILDS, default=BUILDS[0])
    parser.add_argument("--seed", type=int, default=1, help="of the first generated sequence (default: 1)")
    parser.add_argument("--count", type=int, default=GENERATED, help=f"generated sequences (default: {GENERATED})")
    parser.add_argument("--show", type=int, default=10, help="how many differences are printed (default: 10)")
    options = parser.parse_args()
    found, table, udp = 0, Table(), Table(UDP)
    fetched()  # while there is a network
    with network_namespace():
        seeds = range(options.seed, options.seed + options.count)
        with datagrams.debian_and_ours(options.build) as peers:
            unequal = [each for each in datagrams.compared(peers, udp, seeds) if each[1] != each[2]]
        for commands, expected, got in chain(
            differences(partial(debian_and_ours, options.build), table, seeds), unequal
        ):
            found += 1
            if found <= options.show:
                print(commands, f"expected {expected!r}", f"got      {got!r}\n", sep="\n  ")
    print(table, udp, sep="\n")
    untouched = [cell for cell in table.untouched + udp.untouched if cell not in NOT_BUILT]
    unlisted = table.unlisted + udp.unlisted
    print(f"{found} are answered differently; never reached: {untouched}; not listed: {unlisted}")
    return 1 if found or untouched or unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
