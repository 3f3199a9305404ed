# SPDX-License-Identifier: Apache-2.0
"""Under what a command is measured. A way is a prefix of words; one that is not there says why.

Other tools get rules that allow everything (or as near to it as they can be told), so that what is
compared is the cost of looking, not of refusing.
"""

import os
import re
import shutil
import subprocess
import tempfile

from suite.measure import Broken


class Absent(Exception):
    """This way can't be gone here, for the reason given."""


class Spec:
    """What a benchmark needs of a way: the policy for sluice, and which calls a bare supervisor traps."""

    def __init__(self, policy="open", options=(), calls="open,exec"):
        self.policy, self.options, self.calls = policy, list(options), calls


def quoted(path):
    """PATH as a word of a policy, that means itself."""
    return re.sub(r"([^\w./~+-])", r"\\\1", path)


class Place:
    """Where one measurement happens: the programs, a scratch directory, a directory to run in."""

    def __init__(self, sluice, programs, work):
        self.sluice, self.programs, self.work = sluice, programs, work
        self.stats = os.path.join(work, "stats.json")
        self.record = os.path.join(work, "record.jsonl")

    def program(self, name):
        path = os.path.join(self.programs, name)
        if not os.access(path, os.X_OK):
            raise Absent("there is no %s: build it (cmake --build build)" % name)
        return path


def _native(place, spec, cwd):
    return []


def _bare(place, spec, cwd):
    return [place.program("bare"), "-s", place.stats, "-t", spec.calls, "--"]


def _bare_look(place, spec, cwd):
    return [place.program("bare"), "-s", place.stats, "-t", spec.calls + ",look", "--"]


def _bare_landlock(place, spec, cwd):
    return _bare(place, spec, cwd) + _landlock(place, spec, cwd)


def _bare_emulating(form):
    return lambda place, spec, cwd: [place.program("bare"), "-s", place.stats, "-t", "open", "-e", form, "--"]


def _policy_with_options(place, spec):
    """The policy of SPEC with what its options allow, as one policy."""
    if not spec.options:
        return spec.policy
    lines = ["include " + spec.policy]
    for option, value in zip(spec.options[::2], spec.options[1::2]):
        if option != "--allow":
            raise Absent("no Landlock rule does what %s does" % option)
        operations, _, target = value.partition(":")
        lines.append("allow %s %s" % (operations, target))
    path = os.path.join(place.work, "with-options.policy")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")
    return path


def _landlock(place, spec, cwd):
    """The grants of the policy are made anew where it is applied: they may name $PWD."""
    tmp = os.path.join(place.work, "tmp")
    os.makedirs(tmp, exist_ok=True)
    p = subprocess.run([place.program("landlock-grants"), _policy_with_options(place, spec), tmp],
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, check=False)
    if p.returncode != 0:
        raise Broken("landlock-grants: " + p.stderr.decode(errors="replace").strip())
    grants = [os.fsdecode(g) for g in p.stdout.split(b"\0")[:-1]]
    if not int(grants[0], 16):
        raise Absent("no Landlock in this kernel")
    return ["env", "TMPDIR=" + tmp, place.program("landlock-launch"), *grants, "--"]


def _sluice(*more):
    def prefix(place, spec, cwd):
        options = [o.format(record=place.record) for o in more]
        return [place.sluice, "run", "-q", "-p", spec.policy, *spec.options, "--stats", place.stats, *options, "--"]
    return prefix


def _trace(place, spec, cwd):
    return [place.sluice, "trace", "-o", place.record, "--"]


def _other(*words):
    return lambda place, spec, cwd: [w.format(home=os.path.expanduser("~"), cwd=cwd) for w in words]


def _nono(place, spec, cwd):
    """It refuses / and the home directory: both hold what it protects. So all else, and what builds need of home."""
    home = os.path.realpath(os.path.expanduser("~"))
    wanted = [d.path for d in os.scandir("/") if d.is_dir(follow_symlinks=False)]
    wanted = [d for d in sorted(wanted) if not (home + "/").startswith(d + "/")]
    for path in [os.path.join(home, d) for d in (".cargo", ".rustup", "go", ".npm")] + [place.programs, place.work, cwd]:
        path = os.path.realpath(path)
        if os.path.isdir(path) and not any((path + "/").startswith(d + "/") for d in wanted):
            wanted.append(path)
    return ["nono", "run", "--silent", "--no-audit", *(w for d in wanted for w in ("--allow", d)), "--"]


class Way:
    def __init__(self, name, title, prefix, program=None):
        self.name, self.title, self.make, self.program = name, title, prefix, program
        self.tried = {}

    def prefix(self, place, spec, cwd):
        return self.make(place, spec, cwd)

    def is_sluice(self):
        return self.name.startswith("sluice")

    def check(self, place, spec):
        """Absent if it can't run even `true`. Asked once for a policy."""
        key = (spec.policy, spec.calls, tuple(spec.options))
        if key not in self.tried:
            self.tried[key] = self._why_absent(place, spec)
        if self.tried[key]:
            raise Absent(self.tried[key])

    def _why_absent(self, place, spec):
        if self.program and not shutil.which(self.program):
            return "%s is not installed" % self.program
        if not self.make or self.make is _native:
            return None
        # A policy for builds refuses to run in / or the home directory.
        with tempfile.TemporaryDirectory(prefix="try.", dir=place.work) as here:
            try:
                argv = self.make(place, spec, here) + ["true"]
                p = subprocess.run(argv, cwd=here, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, timeout=30, start_new_session=True, check=False)
            except (Absent, Broken) as e:
                return str(e)
            except subprocess.TimeoutExpired:
                return "does not run true here: it hangs"
            except OSError as e:
                return "%s: %s" % (argv[0], e.strerror)
        if p.returncode == 0:
            return None
        lines = p.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        return "does not run true here (status %d): %s" % (p.returncode, lines[-1][:200])


OWN = [
    Way("native", "nothing in between", _native),
    Way("bare", "a bare supervisor: RECV, read, ID_VALID, CONTINUE; it decides nothing", _bare),
    Way("bare-look", "the same, of looks at names (stat, access, readlink) too", _bare_look),
    Way("bare-landlock", "bare, its command under the Landlock rules of `landlock`", _bare_landlock),
    Way("bare-addfd", "a bare supervisor that opens: ADDFD, then SEND", _bare_emulating("two-step")),
    Way("bare-addfd-send", "a bare supervisor that opens: ADDFD with FLAG_SEND", _bare_emulating("send")),
    Way("landlock", "ten lines that apply the same Landlock rules, no supervisor", _landlock),
    Way("sluice", "sluice run", _sluice()),
    Way("sluice-writes", "sluice run --report writes", _sluice("--report", "writes")),
    Way("sluice-none", "sluice run --report none", _sluice("--report", "none")),
    Way("sluice-record", "sluice run --record FILE", _sluice("--record", "{record}")),
    Way("sluice-emulate", "sluice run --layers emulate", _sluice("--layers", "emulate")),
    Way("sluice-gate", "sluice run --gate on", _sluice("--gate", "on")),
    Way("sluice-trace", "sluice trace", _trace),
]
TRACED = "open,openat,openat2,creat,execve,execveat"
OTHERS = [
    Way("strace", "strace --seccomp-bpf", _other("strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=" + TRACED,
                                                 "-o", "/dev/null", "--"), "strace"),
    Way("bwrap", "bubblewrap, everything bound", _other("bwrap", "--dev-bind", "/", "/", "--"), "bwrap"),
    Way("proot", "proot", _other("proot"), "proot"),
    Way("firejail", "firejail --noprofile", _other("firejail", "--quiet", "--noprofile", "--"), "firejail"),
    Way("nono", "nono run --no-audit, all but the home directory", _nono, "nono"),
    Way("sandlock", "sandlock run, all files", _other("sandlock", "run", "-r", "/", "-w", "/", "--"), "sandlock"),
    Way("syd", "syd, everything allowed", _other("syd", "-m", "allow/all+/***", "-m", "sandbox/net:off", "--"), "syd"),
]
WAYS = {w.name: w for w in OWN + OTHERS}
OTHER_NAMES = [w.name for w in OTHERS]
SLUICE_NAMES = [w.name for w in OWN if w.is_sluice()]


def add_way(text):
    """NAME=WORDS, from the command line; {policy}, {stats}, {cwd} are filled in. Its name."""
    name, _, words = text.partition("=")
    if not name or not words:
        raise ValueError("--with %s: write NAME='PREFIX OF WORDS'" % text)
    if "," in name:
        raise ValueError("--with %s: no comma in the name, --ways could not tell it" % text)
    if name in WAYS:
        raise ValueError("--with %s: there is a way of this name" % name)

    def prefix(place, spec, cwd):
        return [w.replace("{policy}", spec.policy).replace("{stats}", place.stats).replace("{cwd}", cwd)
                for w in words.split()]

    WAYS[name] = Way(name, words, prefix)
    return name
