"""python -m tests.memcached --server ours|debian --seed N --count N: what it answers and what Debian's answers."""

import argparse
import sys
from collections import Counter
from contextlib import ExitStack

from tests.memcached.compare import Peer, differ
from tests.memcached.debian import debian, fetched
from tests.memcached.generate import COMMANDS, OFFERED, sequence
from tests.memcached.peers import KernelPeer, WirePeer
from tests.support.appliances import appliance, served
from tests.support.namespaces import network_namespace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.memcached", description=__doc__)
    parser.add_argument("--server", choices=("ours", "debian"), default="ours")
    parser.add_argument("--seed", type=int, default=1, help="of the first sequence (default: 1)")
    parser.add_argument("--count", type=int, default=2000, help="how many sequences (default: 2000)")
    parser.add_argument("--show", type=int, default=10, help="how many differences are printed (default: 10)")
    parser.add_argument("--offered", action="store_true", help="only commands that the appliance has today")
    options = parser.parse_args()
    found, names = 0, Counter[str]()
    fetched()  # while there is a network
    with ExitStack() as stack:
        stack.enter_context(network_namespace())
        expected = KernelPeer(stack.enter_context(debian(11311)))
        got: Peer = (
            KernelPeer(stack.enter_context(debian(11312)))
            if options.server == "debian"
            else WirePeer(stack.enter_context(served(appliance("memcached", "compiled"))))
        )
        for seed in range(options.seed, options.seed + options.count):
            commands = sequence(seed, OFFERED if options.offered else COMMANDS)
            if (different := differ(expected, got, commands)) is None:
                continue
            found += 1
            names.update({command.split()[0].decode() for command in commands})
            if found <= options.show:
                print(
                    f"seed {seed}:", *commands, f"expected {different[0]!r}", f"got      {different[1]!r}", sep="\n  "
                )
    print(f"{options.count} sequences, {found} differ; commands in those: {dict(names.most_common())}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
