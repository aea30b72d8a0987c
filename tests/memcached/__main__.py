"""python -m tests.memcached: what Debian's memcached and ours answer differently, and which replies were reached."""

import argparse
import sys
from functools import partial

from tests.memcached.debian import fetched
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
    found, table = 0, Table()
    fetched()  # while there is a network
    with network_namespace():
        seeds = range(options.seed, options.seed + options.count)
        for commands, expected, got in differences(partial(debian_and_ours, options.build), table, seeds):
            found += 1
            if found <= options.show:
                print(*commands, f"expected {expected!r}", f"got      {got!r}\n", sep="\n  ")
    print(table)
    print(f"{found} scripts are answered differently; never reached: {table.untouched}; not listed: {table.unlisted}")
    return 1 if found or table.untouched or table.unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
