# SPDX-License-Identifier: Apache-2.0
"""The parts of sluice-bench. Standard library only: the suite also runs in a bare initramfs.

    registry    which benchmarks there are, and the named sets
    storms, builds, micro   the benchmarks, by kind
    ways        under what a command is measured: native, the floors, sluice, other tools
    measure     one timed run of a command
    runner      rounds, order, progress, noise, the result as it grows
    result      the JSON: written, read, checked
    stats       medians, intervals, significance
    compare, page   results against each other, as a table and as a page
"""

VERSION = "0.1.0"  # of sluice, which it comes with
