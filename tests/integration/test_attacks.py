# SPDX-License-Identifier: Apache-2.0
"""Hostile programs get nothing. Each is run without sluice first, where it must succeed."""

import glob
import os
import subprocess

from harness import LAYERS, PROGRAMS, SLUICE, Result, SluiceCase, add_cases, tree_of

HELD, ESCAPED, CANNOT = 0, 1, 77

# The denied directory is a hole in an allowed tree: beside it Landlock can carry the grants.
HOLE = """{base}
allow all {dir}
deny all {dir}/no {dir}/later {dir}/tree/inner
deny w {dir}/ro
"""
# The same named by a glob: no Landlock grant below the tree, all is emulated. (Not exec, which a glob
# can only take away as a whole.)
GLOB = """{base}
allow all {dir}
deny rw,connect **/no **/later {dir}/tree/**/inner
deny w **/ro
"""


# How long a race lasts, in ms. Root's first run gives each the most; the others are there for what differs.
RACE_MS = "800" if LAYERS == "auto" and os.geteuid() == 0 else "250"


def target(program, name, where):
    return ["env", "-u", "PARENTS_SECRET", program, name, where]


class Attack(SluiceCase):
    def lay_out(self):
        for name in ("plain0", "secret"):
            self.put("ok/" + name, "plain\n")
        for name in ("secret", "plain0", "victim"):
            self.put("no/" + name, "SECRET\n", 0o666)
        self.put("ro/file", "fixed\n", 0o666)
        self.put("tree/inner/secret", "SECRET\n")
        self.put("tree/other", "plain\n")
        # Time stamps of changes must differ from those of the making.
        os.utime(os.path.join(self.dir, "no/victim"), (1000000000, 1000000000))

    def protected(self):
        inner = os.path.join(self.dir, "tree/inner")
        return {
            **{"no/" + k: v for k, v in tree_of(os.path.join(self.dir, "no")).items()},
            **{"ro/" + k: v for k, v in tree_of(os.path.join(self.dir, "ro")).items()},
            **({"inner/" + k: v for k, v in tree_of(inner).items()} if os.path.isdir(inner) else {}),
            "later": os.path.lexists(os.path.join(self.dir, "later")),
        }

    def control(self, program, name):
        """Without sluice the attack must have its effect, else the test would show nothing."""
        for attempt in range(5):
            self.lay_out()
            before = self.protected()
            env = {"ATTACK_CONTROL": "1", "PARENTS_SECRET": "1", "ATTACK_RACE_MS": str(800 << attempt)}
            # A shell stands where sluice will: it has the environment that its child must not see.
            result = self.native("sh", "-c", '"$@"; exit $?', "sh", *target(program, name, self.dir), env=env)
            happened = result.status == ESCAPED or self.protected() != before
            subprocess.run(["rm", "-rf", self.dir], check=True)
            os.mkdir(self.dir)
            if result.status == CANNOT:
                self.skip(result.out.strip())
            if happened:
                return
        self.fail("the attack does nothing even without sluice\n%s" % result)

    def attack(self, binary, name, policy):
        program = self.program(binary)
        self.control(program, name)
        self.lay_out()
        before = self.protected()
        # Descriptors that whoever starts sluice forgot to close.
        secret = os.open(os.path.join(self.dir, "no/secret"), os.O_RDONLY)
        left = [os.dup2(secret, n, inheritable=True) for n in (57, 77, 500)]
        try:
            result = self.sluice(*target(program, name, self.dir), policy=policy,
                                 env={"PARENTS_SECRET": "1", "ATTACK_RACE_MS": RACE_MS}, pass_fds=left)
        finally:
            for fd in left + [secret]:
                os.close(fd)
        if result.status == CANNOT:
            self.skip("under sluice: " + result.out.strip())
        self.assertEqual(result.status, HELD, "\n%s" % result)
        after = self.protected()
        changed = [k for k in sorted(set(before) | set(after)) if before.get(k) != after.get(k)]
        if changed:
            self.fail("changed: %s\n%s\n%s" % (", ".join(changed), [(before.get(k), after.get(k)) for k in changed],
                                                result))


class Attacks(Attack):
    pass


def all_attacks():
    for path in sorted(glob.glob(os.path.join(PROGRAMS, "attack_*"))):
        names = subprocess.run([path, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
        yield os.path.basename(path), names


for binary_, names_ in all_attacks():
    if binary_ in ("attack_supervisor", "attack_moves"):
        continue  # test_supervisor.py, test_moves.py
    short = binary_[len("attack_"):]
    add_cases(Attacks, names_, lambda self, n, b=binary_: self.attack(b, n, HOLE), "denies_beside_a_hole_%s_" % short)
    if LAYERS == "auto":
        add_cases(Attacks, names_, lambda self, n, b=binary_: self.attack(b, n, GLOB), "denies_by_a_glob_%s_" % short)


# Rules that come while the command runs: the kernel has granted all of the tree by then.
RULES_LATER = ("deny all {dir}/no {dir}/later {dir}/tree/inner", "deny w {dir}/ro")


class LaterAttacks(Attack):
    """The same, but the refusals are added to a run that began without them."""

    def rule(self, *words):
        return subprocess.run([SLUICE, "rule", *words], env=self.environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=30, check=False)

    def sluice(self, *argv, policy=None, options=(), record=False, **how):
        name = "later%d" % os.getpid()
        script = 'echo ready; read go; exec "$@"'
        process = self.start(self.sluice_argv("sh", "-c", script, "sh", *argv, policy=policy,
                                              options=["--name", name, *options]),
                             stdin=subprocess.PIPE, **how)
        try:
            self.assertEqual(process.stdout.readline(), "ready\n")
            self.wait_for("the control socket", lambda: self.rule("list", name).returncode == 0)
            for rule in RULES_LATER:
                added = self.rule("add", name, *rule.replace("{dir}", self.dir).split())
                self.assertEqual(added.returncode, 0, added)
            out, err = process.communicate("go\n", timeout=60)
        finally:
            if process.returncode is None:
                self.kill_session(process)
                process.communicate()
        return Result(list(argv), process.returncode, out, err, 0.0, None)


# Not what was open before, nor executing: that is the kernel's, and the manual says so.
for binary_, names_ in all_attacks():
    if binary_ in ("attack_race", "attack_names"):
        add_cases(LaterAttacks, [n for n in names_ if "exec" not in n],
                  lambda self, n, b=binary_: self.attack(b, n, "{base}\nallow all {dir}\n"),
                  "denies_by_later_rules_%s_" % binary_[len("attack_"):])
