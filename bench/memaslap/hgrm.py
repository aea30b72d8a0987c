"""Times as HdrHistogram prints them: for its plotter, and to be added up with others'."""

from __future__ import annotations

from pathlib import Path

from hdrh.histogram import HdrHistogram

from bench.memaslap.series import Series

_LONGEST = (1 << 43) - 1
_DIGITS = 3
_NS_A_US = 1000.0


def write(path: Path, series: Series) -> None:
    """Percentiles in microseconds."""
    histogram = HdrHistogram(1, _LONGEST, _DIGITS)
    for ns, count in series.filled():
        histogram.record_value(max(ns, 1), count)
    with path.open("wb") as file:
        histogram.output_percentile_distribution(file, _NS_A_US)
