# SPDX-License-Identifier: Apache-2.0
"""Names and grants can't be carried to where they mean something else."""

import contextlib
import os
import shutil
import subprocess

from harness import LAYERS, PROGRAMS, SluiceCase, add_cases, case
from test_attacks import Attack

POLICY = """{base}
allow all {dir}
deny read {dir}/priv
deny w {dir}/.git/hooks
report %s
"""
GLOB = """{base}
allow all {dir}
deny read {dir}/**/priv
deny w **/.git/hooks
report %s
"""


class Moves(Attack):
    def lay_out(self):
        self.put("priv/secret", "SECRET\n")
        self.put("c/x", "plain\n")
        self.put("h/hooks/run", "evil\n")
        self.put("d/y", "plain\n")
        self.put("f", "plain\n")
        self.put("no/secret", "SECRET\n")

    def protected(self):
        return {"hook": os.path.exists(os.path.join(self.dir, ".git/hooks/run"))}

    @case
    def moves_that_change_nothing_work(self):
        self.lay_out()
        script = "mkdir e; mv c e/c2; mv e e2; mv f e2/g; ln -s h l; mv l l2; ln e2/g g2; mv h/hooks/run priv/run"
        result = self.sluice("sh", "-ec", script, policy=POLICY % "all")
        self.assert_status(result, 0)
        for name in ("e2/c2/x", "e2/g", "g2", "l2/hooks", "priv/run"):
            self.assertTrue(os.path.exists(os.path.join(self.dir, name)), name)


    @case
    def a_name_that_is_lost_is_judged_as_what_it_was(self):
        """The kernel shows it with a tail, "x (deleted)"; the file has another name, so its link count is not 0."""
        script = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def tries(what, *args, **how):
    try: print(what.__name__, what(*args, **how))
    except OSError as e: print(what.__name__, e.strerror)
def read(path): return open(path).read()
def link(path): return libc.linkat(-100, path.encode(), -100, b"plain", 0x400)
def execute(path): return os.spawnv(os.P_WAIT, path, ["prog"])
for name in "x.key", "prog":
    os.link(name, "d/" + name)
    path = "/proc/self/fd/%d" % os.open(name, os.O_PATH)
    os.unlink(name)
    tries(read if name == "x.key" else execute, path)
    if name == "x.key":
        tries(link, path)
open("live (deleted)", "w").write("live")
tries(read, "/proc/self/fd/%d" % os.open("live (deleted)", os.O_PATH))
"""
        for policy, want in ((None, "read SECRET\nlink 0\nexecute 1\nread live\n"), (
                "{base}\nallow all {dir}\ndeny read **/*.key\ndeny exec **/prog\nexec-holes checked\n",
                "read Permission denied\nlink -1\nexecute 127\nread live\n")):
            self.put("x.key", "SECRET")
            shutil.copy("/usr/bin/false", os.path.join(self.dir, "prog"))
            os.makedirs(os.path.join(self.dir, "d"), exist_ok=True)
            argv = ["/usr/bin/python3", "-c", script]
            r = self.native(*argv) if policy is None else self.sluice(*argv, policy=policy)
            self.assertEqual((0, want), (r.status, r.out), r)
            for name in ("d/x.key", "d/prog", "plain"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(self.dir, name))

    # Read twice, so that the directory is known; then names in it, and its own, come to lead where reading is the
    # supervisor's.
    @case
    def a_link_in_a_directory_that_was_read_leads_on(self):
        self.lay_out()
        self.put("r/x", "x\n")
        self.put("r/y", "y\n")
        script = """
            echo g >priv2/g
            for r in r "$PWD/r"; do
                cat $r/x $r/y $r/x $r/y $r/early
                ln -sf ../priv2/g r/l; cat $r/l
                ln -sf ../priv/secret r/l; ! cat $r/l 2>/dev/null
                mv r q; sleep 0.02; ln -s priv2 r; sleep 0.02
                cat $r/g; ! cat $r/x 2>/dev/null
                rm r; mv q r; sleep 0.02
            done
        """
        self.put("priv2/keep", "")
        os.symlink("../priv2/g", os.path.join(self.dir, "r/early"))
        self.put("priv2/secret", "SECRET\n")
        result = self.sluice("sh", "-ec", script,
                             policy="{base}\nallow rw {dir}\ndeny read {dir}/priv/secret {dir}/priv2/secret\n")
        self.assert_status(result, 0)
        self.assertEqual(result.out.split(), "x y x y g g g x y x y g g g".split())

NAMES = subprocess.run([os.path.join(PROGRAMS, "attack_moves"), "--list"], stdout=subprocess.PIPE, text=True,
                       check=True).stdout.split()
for report in ("all", "none"):
    add_cases(Moves, NAMES, lambda self, n, r=report: self.attack("attack_moves", n, POLICY % r),
              "denies_with_report_%s_" % report)
if LAYERS == "auto":
    add_cases(Moves, NAMES, lambda self, n: self.attack("attack_moves", n, GLOB % "all"), "denies_by_a_glob_")


class Mounts(SluiceCase):
    def mounted(self, *argv):
        if os.geteuid() != 0 or subprocess.run(["mount", *argv], stderr=subprocess.DEVNULL).returncode != 0:
            self.skip("can't mount")
        self.addCleanup(subprocess.run, ["umount", argv[-1]], check=True)

    @case
    def denies_beneath_another_name_of_a_mount(self):
        secret = self.put("no/deep/secret", "SECRET\n")
        alias = os.path.join(self.dir, "alias")
        os.mkdir(alias)
        self.mounted("--bind", os.path.join(self.dir, "no"), alias)
        script = "cat alias/deep/secret; echo evil > alias/deep/new; mkdir alias/deep/dir"
        control = self.native("sh", "-c", script)
        self.assertIn("SECRET", control.out)
        os.unlink(os.path.join(os.path.dirname(secret), "new"))
        os.rmdir(os.path.join(os.path.dirname(secret), "dir"))
        result = self.sluice("sh", "-c", script, policy="{base}\nallow all {dir}\ndeny all {dir}/no\n")
        self.assertNotIn("SECRET", result.out)
        self.assertEqual(["secret"], os.listdir(os.path.dirname(secret)), result)

    @case
    def denies_moves_out_by_another_name_of_a_mount(self):
        self.put("tree/no/secret", "SECRET\n")
        alias = os.path.join(self.dir, "alias")
        os.mkdir(alias)
        self.mounted("--bind", os.path.join(self.dir, "tree"), alias)
        script = "mv alias/no/secret alias/out; ln alias/no/secret alias/out; cat alias/out"
        result = self.sluice("sh", "-c", script, policy="{base}\nallow all {dir}\ndeny read {dir}/tree/no\n")
        self.assertNotIn("SECRET", result.out)
        self.assertFalse(os.path.exists(os.path.join(alias, "out")))
        control = self.native("sh", "-c", script)
        self.assertIn("SECRET", control.out)
