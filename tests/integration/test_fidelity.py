# SPDX-License-Identifier: Apache-2.0
"""What a call returns and leaves behind is the same under sluice as natively."""

import difflib
import os
import re
import subprocess

from harness import LAYERS, PROGRAMS, SluiceCase, add_cases, case

# Everything is allowed, but a floating glob makes the planner emulate what it could leave to Landlock.
GLOB = "include open\ndeny rw **/*.never-there\n"
# The same with metadata: stat, access, readlink, statfs are emulated too.
STAT = "include open\ndeny rw,stat **/*.never-there\n"


NATIVE = {}  # section: lines; they are always the same, as a test shows

# Differences that are meant, or harmless: (line natively, line under sluice, why). They are documented;
# everything else is a fault.
KNOWN = [(re.compile(a), b, why) for a, b, why in [
    (r"open while a thread waits: 4 (.*)", r"open while a thread waits: 3 .*",
     "natively an open takes its number before it waits for a fifo's other end, here when it is done"),
    (r"(.*fifo.*): (\d+) fl=0504000 (.*)", r".*fifo.*: \d+ fl=0104000 .*",
     "a fifo is pinned, then opened by /proc/self/fd: O_NOFOLLOW does not stay among its flags"),
    (r"socket unknown type: -1 ESOCKTNOSUPPORT", r"socket unknown type: -1 EAFNOSUPPORT",
     "the filter knows the types that are allowed, and has one error for all others"),
    (r"(rename|renameat2)_from\(/proc/self/nothing\): -1 EXDEV", r".*: -1 ENOENT",
     "the old name is looked up before mounts are compared"),
    (r"openat2 O_PATH\|O_NOFOLLOW: .*", r".*: -1 ENOSYS",
     "an O_PATH descriptor is got by the caller itself, but flags in memory can't be let through"),
    (r"(get|list)xattrat: \d+", r"\1xattrat: -1 ENOSYS", "callers fall back to what is older"),
    (r"mknod of a (device|whiteout): .*", r"mknod of a \1: -1 (EACCES|EPERM)", "device nodes are refused"),
    (r"unlink of /proc/self/fd/N: -1 EPERM", r".*: -1 EACCES", "no profile lets names in /proc be removed"),
    (r"write lease while alone: 0", r".*: -1 EAGAIN", "leases are refused: they would hold up the workers"),
    (r"open against the lease: -1 EAGAIN", r"open against the lease: 3 .*", "the same"),
    (r"lease given back: 0", r".*: -1 EAGAIN", "the same"),
]]
# Where rules may refuse to create something beneath the socket's directory, and only there.
KNOWN_BESIDE_RULES = [(re.compile(a), b, why) for a, b, why in [
    (r"  (own name|peer): len \d+ \"(?:.*/)?(\w+)\"", r"  \1: len \d+ \"\2\"",
     "a socket bound on a target's behalf has the last name only"),
    (r"  (own|peer's) name is what was bound", r"  \1 name is \w+", "the same"),
]]


def is_known(native, ours, policy):
    for a, b, _ in KNOWN + ([] if policy == "open" else KNOWN_BESIDE_RULES):
        m = a.fullmatch(native)
        if m and re.fullmatch(re.sub(r"\\([12])", lambda g: re.escape(m[int(g[1])]), b), ours):
            return True
    return False


class Fidelity(SluiceCase):
    def lines(self, section, policy, options=()):
        name = "native" if policy is None else "sluice"
        where = os.path.join(self.dir, name)
        os.mkdir(where)
        argv = [self.program("fidelity"), section, where]
        how = dict(env={"FIDELITY": "1"}, timeout=150)
        result = self.native(*argv, **how) if policy is None else self.sluice(
            *argv, policy=policy, options=options, **how)
        self.assert_status(result, 0)
        return result.out.splitlines(), result

    def compare(self, section, policy, options=()):
        if section not in NATIVE:
            NATIVE[section], _ = self.lines(section, None)
        want = NATIVE[section]
        got, result = self.lines(section, policy, options)
        differing = []
        matcher = difflib.SequenceMatcher(None, want, got, autojunk=False)
        for tag, i, j, k, m in matcher.get_opcodes():
            if tag == "equal":
                continue
            old, new = want[i:j], got[k:m]
            while old and new and is_known(old[0], new[0], policy):
                old, new = old[1:], new[1:]
            if old and old[0].startswith("  now: ") and not new and any("whiteout" in line for line in want[i:j]):
                old = []  # what the whiteout left
            differing += ["-" + line for line in old] + ["+" + line for line in new]
        if differing:
            self.fail("%d lines differ\n%s\n%s" % (len(differing), "\n".join(differing[:60]), result.err[:2000]))

    def compare_deep(self, policy):
        """Beyond PATH_MAX there is no name to judge: a call works as natively, or is refused."""
        got, result = self.lines("deep", policy)
        for line in got:
            name, _, outcome = line.rpartition(": ")
            if name.endswith("bytes deep"):
                self.assertTrue(outcome.split()[-1] in ("ENAMETOOLONG", "ERANGE", "ENOENT", "EACCES") or outcome[0] != "-",
                                "%s\n%s" % (line, result))
        self.assertIn("fchdir home: 0", got)

    @case
    def native_runs_agree_with_each_other(self):
        want, _ = self.lines("names", None)
        os.rename(os.path.join(self.dir, "native"), os.path.join(self.dir, "first"))
        self.assertEqual(want, self.lines("names", None)[0])


def sections():
    fidelity = os.path.join(PROGRAMS, "fidelity")
    return subprocess.run([fidelity, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


SECTIONS = [s for s in sections() if s != "deep"]
add_cases(Fidelity, ["open", STAT], lambda self, p: self.compare_deep(p), "trees_deeper_than_a_path_")
add_cases(Fidelity, SECTIONS, lambda self, s: self.compare(s, "open"), "same_as_native_when_all_is_allowed_")
add_cases(Fidelity, SECTIONS, lambda self, s: self.compare(s, STAT), "same_as_native_when_metadata_is_ruled_")
# The tree is traced then, by one thread of sluice.
add_cases(Fidelity, ["blocking", "exec"], lambda self, s: self.compare(s, STAT, ["--on-death", "ptrace"]),
          "same_as_native_when_death_is_by_ptrace_")
if LAYERS == "auto":
    add_cases(Fidelity, SECTIONS, lambda self, s: self.compare(s, GLOB), "same_as_native_beneath_a_glob_")
