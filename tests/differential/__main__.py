"""python -m tests.differential --seed N --count M: sequences of segments to our stack and to the Linux kernel's."""

import argparse
import sys
import time

from tests.differential.compare import Comparison, Outcome, comparison
from tests.differential.decisions import DECISIONS
from tests.differential.generate import sequence


def table(compared: Comparison) -> str:
    """Which decisions explained differences, in how many sequences."""
    lines = [f"{compared.decided[decision]:6}  {decision.section:28} {decision.what}" for decision in DECISIONS]
    states = ", ".join(f"{state} {count}" for state, count in sorted(compared.states.items()))
    return "\n".join([*lines, f"{compared.steps} steps; states after a step: {states}"])


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first sequence; each has its own (default: 1)")
    parser.add_argument("--count", type=int, default=500, help="how many sequences (default: 500)")
    parser.add_argument("--differences", type=int, default=5, help="end after so many of them (default: 5)")
    parser.add_argument("-v", action="store_true", help="show every sequence")
    options = parser.parse_args()
    found: list[tuple[int, Outcome]] = []
    sequences = 0
    begun = time.monotonic()
    with comparison() as compared:
        for seed in range(options.seed, options.seed + options.count):
            sequences += 1
            outcome = compared.sequence(sequence(seed), seed)
            if outcome.different is not None:
                found.append((seed, outcome))
                print(f"seed {seed} differs:\n{outcome}\n", flush=True)
            elif options.v:
                print(f"seed {seed}:\n{outcome}\n")
            if len(found) == options.differences:
                break
        print(table(compared))
    print(f"{sequences} sequences in {time.monotonic() - begun:.1f} s, {len(found)} differences that nothing explains")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
