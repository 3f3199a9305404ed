# SPDX-License-Identifier: Apache-2.0
"""Which benchmarks there are, and the sets by which they are asked for."""

import difflib

from suite.builds import BUILDS
from suite.micro import MICRO
from suite.storms import FLOOR, STORMS

ALL = [b() for b in MICRO + FLOOR + STORMS + BUILDS]
NAMES = {b.name: b for b in ALL}


def _names(classes):
    return [b.name for b in classes]


SETS = {
    "micro": ("stages of a notification, by Google Benchmark", _names(MICRO)),
    "floor": ("what a call costs beside the bare mechanism", _names(FLOOR)),
    "storms": ("many cheap calls", _names(STORMS)),
    "builds": ("real builds and package managers", _names(BUILDS)),
    "ci": ("a few, small: for seeing that nothing went wrong", ["open", "open-emulated", "exec", "start"]),
    "kernel": ("what differs between kernels, small enough for an emulator",
               ["open", "open-emulated", "exec", "start", "stat-storm", "name-storm"]),
    "all": ("everything", list(NAMES)),
}


assert not set(SETS) & set(NAMES), "a name is a set or a benchmark"


def choose(words):
    """Benchmarks by names and sets, each once, in our order. ValueError with what is wrong."""
    wanted = set()
    for w in words:
        if w in SETS:
            wanted.update(SETS[w][1])
        elif w in NAMES:
            wanted.add(w)
        else:
            near = difflib.get_close_matches(w, [*SETS, *NAMES], 1)
            raise ValueError("there is no set or benchmark called %s%s (sluice-bench list shows all)"
                             % (w, ": did you mean %s?" % near[0] if near else ""))
    return [b for b in ALL if b.name in wanted]
