# SPDX-License-Identifier: Apache-2.0
"""What a call returns and leaves behind is the same under sluice as natively."""

import difflib
import os
import subprocess

from harness import LAYERS, PROGRAMS, SluiceCase, add_cases, case

# Everything is allowed, but a floating glob makes the planner emulate what it could leave to Landlock.
GLOB = "include open\ndeny rw,connect **/*.never-there\n"
# The same with metadata: stat, access, readlink, statfs are emulated too.
STAT = "include open\ndeny rw,connect,stat **/*.never-there\n"


NATIVE = {}  # section: lines; they are always the same, as a test shows


class Fidelity(SluiceCase):
    def lines(self, section, policy):
        name = "native" if policy is None else "sluice"
        where = os.path.join(self.dir, name)
        os.mkdir(where)
        argv = [self.program("fidelity"), section, where]
        how = dict(env={"FIDELITY": "1"}, timeout=150)
        result = self.native(*argv, **how) if policy is None else self.sluice(*argv, policy=policy, **how)
        self.assert_status(result, 0)
        return result.out.splitlines(), result

    def compare(self, section, policy):
        if section not in NATIVE:
            NATIVE[section], _ = self.lines(section, None)
        want = NATIVE[section]
        got, result = self.lines(section, policy)
        differing = [line for line in difflib.unified_diff(want, got, "native", "sluice", lineterm="", n=0)
                     if not line.startswith("@@")]
        if differing:
            self.fail("%d lines differ\n%s\n%s" % (len(differing) - 2, "\n".join(differing[:60]), result.err[:2000]))

    @case
    def native_runs_agree_with_each_other(self):
        want, _ = self.lines("names", None)
        os.rename(os.path.join(self.dir, "native"), os.path.join(self.dir, "first"))
        self.assertEqual(want, self.lines("names", None)[0])


def sections():
    fidelity = os.path.join(PROGRAMS, "fidelity")
    return subprocess.run([fidelity, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


add_cases(Fidelity, sections(), lambda self, s: self.compare(s, "open"), "same_as_native_when_all_is_allowed_")
add_cases(Fidelity, sections(), lambda self, s: self.compare(s, STAT), "same_as_native_when_metadata_is_ruled_")
if LAYERS == "auto":
    add_cases(Fidelity, sections(), lambda self, s: self.compare(s, GLOB), "same_as_native_beneath_a_glob_")
