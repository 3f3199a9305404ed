# SPDX-License-Identifier: Apache-2.0
"""What a killed run leaves in the directory for temporary files goes at the end of another run, and nothing else."""

import contextlib
import fcntl
import os
import signal
import stat
import string
import struct
import subprocess

from harness import SluiceCase, case

with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot:
    NUMBER = int(boot.read(8), 16)
DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
NAME = "sluice." + "".join(DIGITS[NUMBER // 62 ** i % 62] for i in range(3))
F_OFD_SETLK = 37

# What a command can leave to hinder its removal. The last two lead to what is not its own.
ODD = ("cd $TMPDIR; mkdir -p a/b/c d/e deep/{deep}; echo x >a/b/c/f; mkfifo a/p; chmod 0 a/b/c a/b a; echo x >d/f; "
       "chmod 0 d/e; chmod 500 d; ln -s . self; ln -s {victim} l; ln -s {victim}/f d.f; chmod 100 .; ")

# The warden's parent once the supervisor is dead. In its session: a group that has nobody there is continued.
ADOPT = ("import ctypes, os, subprocess, sys, time\nctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
         "subprocess.Popen(sys.argv[1:])\nwhile True: time.sleep(60)")


class PrivateDir(SluiceCase):
    def setUp(self):
        super().setUp()
        self.parent = os.path.join(self.root, "tmp")
        self.victim = os.path.join(self.root, "victim")
        os.mkdir(self.parent)
        os.mkdir(self.victim, 0o750)
        with open(os.path.join(self.victim, "f"), "w", encoding="utf-8") as f:
            f.write("x")

    def dirs(self):
        return sorted(n for n in os.listdir(self.parent) if n.startswith(NAME))

    def begin(self, script="", prefix=()):
        """A run whose command has done SCRIPT and lives; and the name of its directory."""
        before = self.dirs()
        ready = os.path.join(self.dir, "ready%d" % self.runs)
        self.runs += 1
        argv = self.sluice_argv("sh", "-c", "%s\necho >%s; exec sleep 60" % (script, ready), policy="build")
        process = self.start([*prefix, *argv], env={"TMPDIR": self.parent})
        self.addCleanup(self.kill_session, process)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.wait_for("the command", lambda: os.path.exists(ready))
        name, = [n for n in self.dirs() if n not in before]
        return process, name

    def kill(self, process):
        process.kill()
        process.wait()
        self.wait_for("the end of its tree", lambda: not self.tree(process))

    def tree(self, process):
        """{pid: name} of who lives in the session of PROCESS, but itself. Who is a zombie has closed all it had."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open("/proc/%s/stat" % pid, encoding="utf-8", errors="replace") as f:
                name, rest = f.read().split("(", 1)[1].rsplit(") ", 1)
                state, _, _, session = rest.split()[:4]
                if int(session) == process.pid != int(pid) and state not in "ZX":
                    found[int(pid)] = name
        return found

    def another_run(self):
        """What is left after its end."""
        self.assert_status(self.native(*self.sluice_argv("true", policy="build"), env={"TMPDIR": self.parent}), 0)
        return self.dirs()

    def odd(self):
        return ODD.format(victim=self.victim, deep="/".join(["d" * 50] * 60))

    @case
    def what_a_killed_run_left_goes_with_the_next(self):
        process, name = self.begin(self.odd())
        self.kill(process)
        self.assertEqual([name], self.dirs(), "nobody else removes it")
        self.assertEqual([], self.another_run())
        self.assertEqual(["f"], os.listdir(self.victim))
        self.assertEqual(0o750, stat.S_IMODE(os.stat(self.victim).st_mode))

    @case
    def what_a_living_run_has_stays(self):
        process, name = self.begin("mkdir $TMPDIR/a; echo x >$TMPDIR/a/f")
        self.assertEqual([name], self.another_run())
        self.assertEqual(["f"], os.listdir(os.path.join(self.parent, name, "a")))
        process.terminate()
        process.communicate(timeout=10)
        self.assertEqual([], self.dirs())

    @case
    def a_living_runs_directory_keeps_its_mode(self):
        _, name = self.begin("chmod 0 $TMPDIR")
        path = os.path.join(self.parent, name)
        self.assertEqual([name], self.another_run())
        self.assertEqual(0, stat.S_IMODE(os.stat(path).st_mode))
        os.chmod(path, 0o700)  # the test's own clean-up must get in

    @case
    def it_stays_as_long_as_the_tree_lives(self):
        process, name = self.begin("echo x >$TMPDIR/f", ["python3", "-c", ADOPT])
        pids = {name: pid for pid, name in self.tree(process).items()}
        os.kill(pids["sluice-warden"], signal.SIGSTOP)
        os.kill(pids["sluice"], signal.SIGKILL)
        self.wait_for("the end of the supervisor", lambda: pids["sluice"] not in self.tree(process))
        self.assertEqual([name], self.another_run())
        self.assertEqual(["f"], os.listdir(os.path.join(self.parent, name)))
        os.kill(pids["sluice-warden"], signal.SIGCONT)
        self.wait_for("the end of its tree", lambda: not self.tree(process))
        self.assertEqual([], self.another_run())

    @case
    def the_command_can_lock_it_and_not_give_up_our_lock(self):
        hold = ("import fcntl, os\nfd = os.open(os.environ['TMPDIR'], os.O_RDONLY)\n"
                "for how in fcntl.LOCK_SH, fcntl.LOCK_EX | fcntl.LOCK_NB, fcntl.LOCK_UN:\n"
                " fcntl.flock(fd, how)\n"
                "fcntl.lockf(fd, fcntl.LOCK_SH)\nfcntl.lockf(fd, fcntl.LOCK_UN)\n"
                "os.system('ls -l /proc/self/fd >%s/fds')\n" % self.dir)
        process, name = self.begin("python3 -c \"%s\"" % hold)
        with open(os.path.join(self.dir, "fds"), encoding="utf-8") as f:
            self.assertNotIn(NAME, f.read())
        self.assertEqual([name], self.another_run())
        self.kill(process)
        self.assertEqual([], self.another_run())

    @case
    def names_that_are_no_runs_stay(self):
        kept = [NAME + "ab", NAME + "abcd", NAME + "a-c", "sluice.backup", "sluice.run",
                NAME + "lnk", NAME + "reg"]
        for name in kept[:5]:
            os.mkdir(os.path.join(self.parent, name))
        os.symlink(self.victim, os.path.join(self.parent, kept[5]))
        with open(os.path.join(self.parent, kept[6]), "w", encoding="utf-8"):
            pass
        self.another_run()
        self.assertEqual(sorted(kept), sorted(os.listdir(self.parent)))
        self.assertEqual(["f"], os.listdir(self.victim))

    @case
    def others_directories_stay(self):
        if os.geteuid() != 0:
            self.skip("only root can make what is another user's")
        process, name = self.begin("echo x >$TMPDIR/f")
        self.kill(process)
        os.chown(os.path.join(self.parent, name), 54321, 54321)
        self.assertEqual([name], self.another_run())
        self.assertEqual(["f"], os.listdir(os.path.join(self.parent, name)))
        os.chown(os.path.join(self.parent, name), 0, 0)
        self.assertEqual([], self.another_run())

    @case
    def nothing_is_swept_where_others_may_rename(self):
        process, name = self.begin()
        self.kill(process)
        os.chmod(self.parent, 0o777)
        self.assertEqual([name], self.another_run())
        os.chmod(self.parent, 0o1777)
        self.assertEqual([], self.another_run())

    @case
    def what_is_mounted_in_it_stays(self):
        process, name = self.begin("mkdir $TMPDIR/m; echo x >$TMPDIR/f")
        self.kill(process)
        at = os.path.join(self.parent, name, "m")
        if os.geteuid() != 0 or subprocess.run(["mount", "--bind", self.victim, at], check=False,
                                               stderr=subprocess.DEVNULL).returncode != 0:
            self.skip("no right to mount")
        self.addCleanup(subprocess.run, ["umount", at], check=False, stderr=subprocess.DEVNULL)
        self.assertEqual([name], self.another_run())
        self.assertEqual(["m"], os.listdir(os.path.join(self.parent, name)))
        self.assertEqual(["f"], os.listdir(self.victim))
        subprocess.run(["umount", at], check=True)
        self.assertEqual([], self.another_run())

    @case
    def whoever_holds_the_lock_keeps_it(self):
        """As a run in another container does that shares the directory."""
        name = os.path.join(self.parent, NAME + "abc")
        os.mkdir(name, 0o700)
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        self.addCleanup(os.close, fd)
        for take, give_up in ((lambda: self.lock(fd, fcntl.F_RDLCK), lambda: self.lock(fd, fcntl.F_UNLCK)),
                              (lambda: fcntl.flock(fd, fcntl.LOCK_SH), lambda: fcntl.flock(fd, fcntl.LOCK_UN))):
            take()
            self.assertEqual([os.path.basename(name)], self.another_run())
            give_up()
        self.assertEqual([], self.another_run())

    def lock(self, fd, kind):
        """By the open file, as a run does; struct flock: type, whence, start, length, pid."""
        fcntl.fcntl(fd, F_OFD_SETLK, struct.pack("hhqqi4x", kind, 0, 0, 0, 0))

    @case
    def a_directory_that_can_not_be_listed_takes_it(self):
        os.chmod(self.parent, 0o1333)
        argv = self.sluice_argv("sh", "-c", "echo x >$TMPDIR/f", policy="build")
        self.assert_status(self.native(*argv, env={"TMPDIR": self.parent}), 0)
        os.chmod(self.parent, 0o700)
        self.assertEqual([], self.dirs())

    @case
    def an_umask_that_forbids_all_hinders_nothing(self):
        argv = self.sluice_argv("sh", "-c", "umask 022; echo x >$TMPDIR/f && stat -c %a $TMPDIR", policy="build")
        r = self.native("sh", "-c", "umask 0777; exec \"$@\"", "sh", *argv, env={"TMPDIR": self.parent})
        self.assertEqual(("700\n" if os.geteuid() else "0\n", 0), (r.out, r.status), r)
        self.assertEqual([], self.dirs())
