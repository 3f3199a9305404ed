# SPDX-License-Identifier: Apache-2.0
"""Without a kernel feature, sluice does the same another way, or says that it can't. Never less than asked.

The program `without` answers ENOSYS or EPERM for a call, as an old kernel or a container's profile would.
"""

import json
import os
import shutil
import socket
import stat

from harness import LAYERS, SLUICE, SluiceCase, add_cases, case

HOLE = "{base}\nallow all {dir}\ndeny all {dir}/no\n"
SCRIPT = """
cat ok/plain
for way in no/secret ok/../no/secret ok/link; do cat $way; done
ls no; echo x >no/new; echo x >>no/secret; mkdir no/d; mv no/secret ok/got; ln no/secret ok/got
mv no ok/no; rm -rf no
mkdir ok/d && echo made >ok/d/f && mv ok/d ok/e && cat ok/e/f
"""
# Landlock has a right for each of these, and nothing lies within them that is refused.
KERNEL_ALONE = """
report none
allow rx /usr /bin /lib /lib64 /etc
allow read,write /dev/null
allow ro,write,create,delete {dir}/ok
"""

COMMON = """
import ctypes, errno, os, socket, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def say(what, f, *args):
    try: f(*args); print(what, "done")
    except OSError as e: print(what, errno.errorcode[e.errno])
def call(nr, *args):
    if libc.syscall(nr, *args) < 0: raise OSError(ctypes.get_errno(), "")
def in_thread(f):
    t = threading.Thread(target=f); t.start(); t.join()
PORT = ("127.0.0.1", int(sys.argv[1]))
"""
# Each call that is done on a descriptor of the caller's own, in a thread that is not the first.
IN_A_THREAD = COMMON + """
def calls():
    fd = os.open("ok/plain", os.O_RDWR)
    say("fchmod", os.fchmod, fd, 0o640)
    say("fchown", os.fchown, fd, os.getuid(), os.getgid())
    say("fsetxattr", os.setxattr, fd, "user.x", b"1")
    say("futimens", os.utime, fd, (1, 1))
    say("inotify_add_watch", call, 254, libc.inotify_init1(0), b"ok/plain", 2)
    say("bind", socket.socket(socket.AF_UNIX).bind, "ok/socket")
    say("connect", socket.socket().connect, PORT)
in_thread(calls)
"""
# Two numbers, each one thing in the leader's table and another in the thread's; argv[2] says whose stay what they were.
APART = COMMON + """
UNSHARE = {"unshare": lambda: call(272, 0x400), "close_range": lambda: call(436, 2000, 2000, 2)}[sys.argv[3]]
first, second = threading.Event(), threading.Event()
file, sock = os.open(sys.argv[2] + "1", os.O_RDWR), socket.socket()
def leave():  # who leaves takes other things for them
    UNSHARE()
    os.dup2(os.open(sys.argv[2] + "2", os.O_RDWR), file)
    os.dup2(socket.socket().detach(), sock.fileno())
def act():
    if sys.argv[2] == "leaders": leave()
    first.set()
    second.wait()
    say("fchmod", os.fchmod, file, 0o600)
    say("connect", sock.connect, PORT)
    say("peer", sock.getpeername)
t = threading.Thread(target=act)
t.start()
first.wait()
if sys.argv[2] == "threads": leave()
second.set()
t.join()
say("leader's peer", sock.getpeername)
"""
# The first thread has ended, and its table with it.
ALONE = COMMON + """
import time
def act():
    while open("/proc/self/task/%d/stat" % os.getpid()).read().rsplit(")")[1][1] != "Z": time.sleep(.001)
    say("fchmod", os.fchmod, os.open("ok/plain", os.O_RDWR), 0o640)
    sys.stdout.flush()
    os._exit(0)
threading.Thread(target=act).start()
libc.syscall(60, 0)
"""
BEFORE_6_9 = "pidfd_thread=EINVAL"


class Degradation(SluiceCase):
    def lay_out(self):
        self.put("ok/plain", "plain\n")
        self.put("no/secret", "SECRET\n", 0o666)
        os.symlink("../no/secret", os.path.join(self.dir, "ok/link"))

    def secret(self):
        path = os.path.join(self.dir, "no/secret")
        try:
            with open(path, encoding="utf-8") as f:
                return f.read(), sorted(os.listdir(os.path.dirname(path)))
        except FileNotFoundError:
            return None

    def under(self, missing, *argv, policy=None, options=(), **how):
        words = self.sluice_argv(*argv, policy=policy, options=options)
        return self.native(self.program("without"), missing, *words, **how)

    def doctor(self, missing):
        r = self.native(self.program("without"), missing, SLUICE, "doctor", "--json")
        report = json.loads(r.out)
        self.assertEqual(r.status, 0 if report["run_works"] else 1, r)
        return report, {row["feature"]: row for row in report["features"]}

    def enforces_without(self, missing):
        self.lay_out()
        r = self.under(missing, "sh", "-c", SCRIPT, policy=HOLE)
        self.assertEqual("plain\nmade\n", r.out, r)
        self.assertEqual(("SECRET\n", ["secret"]), self.secret(), r)
        self.assertIn("refused", r.err)

    @case
    def control_the_script_does_all_of_it_without_sluice(self):
        self.lay_out()
        r = self.native(self.program("without"), "io_uring_setup", "sh", "-c", SCRIPT)
        self.assertEqual(r.out.count("SECRET"), 3, r)
        self.assertIsNone(self.secret(), r)

    @case
    def control_without_takes_the_call_away(self):
        r = self.native(self.program("without"), "ptrace=EPERM,kcmp", "python3", "-c",
                        "import ctypes, errno, os\n"
                        "c = ctypes.CDLL(None, use_errno=True)\n"
                        "for nr in (101, 312):\n"
                        "    c.syscall(nr, 0, 0, 0, 0, 0); print(errno.errorcode[ctypes.get_errno()])")
        self.assertEqual("EPERM\nENOSYS\n", r.out, r)

    @case
    def a_run_without_landlock_is_emulated_and_doctor_says_so(self):
        report, rows = self.doctor("landlock_create_ruleset")
        self.assertEqual(0, report["landlock_abi"])
        self.assertEqual("less", rows["Landlock"]["state"])
        self.assertIn("emulated", rows["Landlock"]["means"])
        self.assertIn("exec can't be restricted", rows["Landlock"]["means"])
        self.assertIn("by emulation alone", report["verdict"])

    @case
    def without_landlock_the_tree_still_dies_with_the_command(self):
        self.lay_out()
        r = self.under("landlock_create_ruleset", "sh", "-c", "setsid sleep 300 & sleep 300 & exit 3", policy=HOLE)
        self.assert_status(r, 3)
        self.assertEqual([], self.marked())

    @case
    def doctor_says_what_each_missing_call_costs(self):
        for missing, feature, state in (("io_uring_setup", "io_uring", "less"),
                                        ("process_vm_readv=EPERM", "reading memory", "less"),
                                        ("pidfd_getfd", "taking descriptors", "less"),
                                        (BEFORE_6_9, "threads by pidfd", "less"),
                                        ("ptrace=EPERM", "ptrace", "less"),
                                        ("seccomp", "supervisor", "missing"),
                                        ("openat2", "openat2", "missing")):
            report, rows = self.doctor(missing)
            self.assertEqual(state, rows[feature]["state"], "without %s: %s" % (missing, rows[feature]))
            self.assertEqual(missing != "openat2", report["run_works"], "without " + missing)

    @case
    def openat2_is_asked_for_plainly(self):
        self.lay_out()
        r = self.under("openat2", "touch", "ok/ran", policy=HOLE)
        self.assert_status(r, 125)
        self.assertRegex(r.err, r"\Asluice: openat2 is not there \(before Linux 5\.6\), or .*\n\Z")
        self.assertFalse(os.path.exists(os.path.join(self.dir, "ok/ran")))

    @case
    def without_notification_a_policy_that_needs_it_is_refused(self):
        self.lay_out()
        r = self.under("seccomp", "touch", "ok/ran", policy=HOLE)
        self.assert_status(r, 125)
        self.assertRegex(r.err, r":\d+: needs a supervisor \(deny all .*/no\), and seccomp user notification is not "
                                r"there .*`sluice explain --plan` marks \"supervisor\"")
        self.assertFalse(os.path.exists(os.path.join(self.dir, "ok/ran")))

    @case
    def checked_exec_holes_without_ptrace_are_refused(self):
        self.lay_out()
        policy = "{base}\nexec-holes checked\nallow all {dir}\ndeny exec {dir}/no\n"
        r = self.under("ptrace=EPERM", "true", policy=policy)
        self.assert_status(r, 125)
        self.assertIn('with exec-holes checked needs ptrace, which is refused here: write exec-holes strict', r.err)
        self.assert_status(self.under("kcmp", "true", policy=policy), 0)

    @case
    def death_by_ptrace_without_ptrace_is_refused(self):
        self.lay_out()
        r = self.under("ptrace=EPERM", "true", policy=HOLE, options=["--on-death", "ptrace"])
        self.assert_status(r, 125)
        self.assertIn("--on-death ptrace", r.err)

    @case
    def sockets_without_pidfd_getfd_reach_no_further(self):
        """What needs the target's own socket is refused, not continued."""
        self.lay_out()
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        script = ("import socket\n"
                  "try: socket.create_connection(('127.0.0.1', %d), 2); print('connected')\n"
                  "except OSError as e: print('refused')\n" % server.getsockname()[1])
        policy = HOLE + "allow connect *:*\n"
        self.assertEqual("connected\n", self.native("python3", "-c", script).out)
        self.assertEqual("connected\n", self.sluice("/usr/bin/python3", "-c", script, policy=policy).out)
        r = self.under("pidfd_getfd", "/usr/bin/python3", "-c", script, policy=policy)
        self.assertEqual("refused\n", r.out, r)

    def threads(self, missing, program, *args):
        """What PROGRAM says; natively if MISSING is None, under a whole sluice if it is nothing."""
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        argv = ["/usr/bin/python3", "-c", program, str(server.getsockname()[1]), *args]
        policy = HOLE + "allow connect *:*\n"
        if missing is None:
            r = self.native(*argv)
        elif not missing:
            r = self.sluice(*argv, policy=policy)
        else:
            r = self.under(missing, *argv, policy=policy)
        self.assert_status(r, 0)
        return dict(line.rsplit(" ", 1) for line in r.out.splitlines())

    def has_pidfds_of_threads(self):
        return self.doctor("io_uring_setup")[1]["threads by pidfd"]["state"] == "ok"

    def mode(self, name):
        return stat.S_IMODE(os.lstat(os.path.join(self.dir, name)).st_mode)

    def act_in_a_thread(self, missing):
        """What each call says, having looked at what it did."""
        self.put("ok/plain", mode=0o644)
        said = self.threads(missing, IN_A_THREAD)
        calls = ("fchmod", "fchown", "fsetxattr", "futimens", "inotify_add_watch", "bind", "connect")
        self.assertEqual(sorted(calls), sorted(said))
        plain = os.path.join(self.dir, "ok/plain")
        self.assertEqual(0o640 if said["fchmod"] == "done" else 0o644, self.mode("ok/plain"))
        self.assertEqual(["user.x"] if said["fsetxattr"] == "done" else [], os.listxattr(plain))
        self.assertEqual(said["futimens"] == "done", os.stat(plain).st_mtime == 1)
        self.assertEqual(said["bind"] == "done", os.path.exists(os.path.join(self.dir, "ok/socket")))
        return said

    @case
    def before_pidfds_of_threads_a_thread_acts_on_what_it_shares_with_the_first(self):
        native = self.act_in_a_thread(None)
        # Not every file system has attributes for users.
        self.assertEqual({"done"}, {a for call, a in native.items() if call != "fsetxattr"}, native)
        shutil.rmtree(os.path.join(self.dir, "ok"))
        self.assertEqual(native, self.act_in_a_thread(BEFORE_6_9))

    @case
    def where_it_cannot_be_told_what_a_thread_shares_it_is_refused(self):
        for kcmp in ("kcmp", "kcmp=EPERM"):
            said = self.act_in_a_thread(BEFORE_6_9 + "," + kcmp)
            self.assertEqual({"EBADF"}, set(said.values()), said)
        _, rows = self.doctor(BEFORE_6_9 + ",kcmp")
        self.assertIn("all threads of a process but its first", rows["threads by pidfd"]["means"])

    def act_apart(self, missing, whose, how):
        """What is said; the modes of the leader's file and of the thread's. The first file stays WHOSE."""
        for n in "12":
            self.put(whose + n, mode=0o644)
        said = self.threads(missing, APART, whose, how)
        modes = [self.mode(whose + n) for n in "12"]
        return said, modes if whose == "leaders" else modes[::-1]

    @case
    def a_thread_with_descriptors_of_its_own_never_gets_the_leaders(self):
        native = ({"fchmod": "done", "connect": "done", "peer": "done", "leader's peer": "ENOTCONN"}, [0o644, 0o600])
        refused = ({"fchmod": "EBADF", "connect": "EBADF", "peer": "ENOTCONN", "leader's peer": "ENOTCONN"},
                   [0o644, 0o644])
        whole = native if self.has_pidfds_of_threads() else refused
        for whose in ("leaders", "threads"):
            for how in ("unshare", "close_range"):
                for missing, want in ((None, native), ("", whole), (BEFORE_6_9, refused),
                                      (BEFORE_6_9 + ",kcmp", refused)):
                    self.assertEqual(want, self.act_apart(missing, whose, how))

    @case
    def a_thread_does_not_get_what_the_first_takes_as_it_leaves(self):
        for missing in (None, BEFORE_6_9):
            for name in ("leaders", "threads"):
                self.put(name, mode=0o644)
            argv = [self.program("leave_race"), "leaders", "threads"]
            r = self.native(*argv) if missing is None else self.under(missing, *argv, policy=HOLE)
            self.assert_status(r, 0)
            self.assertEqual([0o644, 0o600], [self.mode("leaders"), self.mode("threads")])

    @case
    def a_thread_that_outlives_the_first_is_answered(self):
        whole = "done" if self.has_pidfds_of_threads() else "EBADF"
        for missing, answer in ((None, "done"), ("", whole), (BEFORE_6_9, "EBADF")):
            self.put("ok/plain", mode=0o644)
            self.assertEqual({"fchmod": answer}, self.threads(missing, ALONE))
            self.assertEqual(0o640 if answer == "done" else 0o644, self.mode("ok/plain"))


class Nested(SluiceCase):
    """The kernel gives a tree one listener: a sluice inside of another has Landlock and registers only."""

    def nested(self, *argv, policy):
        inner = self.sluice_argv(*argv, policy=policy)
        return self.sluice(*inner, policy="open")

    @case
    def an_inner_policy_that_needs_a_supervisor_is_refused(self):
        self.put("no/secret", "SECRET\n")
        r = self.nested("touch", "ran", policy=HOLE)
        self.assert_status(r, 125)
        self.assertRegex(r.err, r"\.policy:\d+: needs a supervisor \(deny all .*/no\), and this process already has "
                                r"one \(a container runtime or another sluice\): run sluice outside of it, or remove "
                                r"the rules that `sluice explain --plan` marks \"supervisor\"")
        self.assertFalse(os.path.exists(os.path.join(self.dir, "ran")))

    @case
    def an_inner_policy_that_landlock_carries_is_enforced(self):
        if LAYERS == "emulate":
            self.skip("--layers emulate has no Landlock")
        self.put("ok/plain", "plain\n")
        self.put("no/secret", "SECRET\n")
        script = ("cat ok/plain no/secret; ls no; echo x >no/new; mv no/secret ok/; ln no/secret ok/l\n"
                  "mkdir ok/d && echo made >ok/d/f && mv ok/d ok/e && cat ok/e/f; exit 5")
        r = self.nested("sh", "-c", script, policy=KERNEL_ALONE)
        self.assert_status(r, 5)
        self.assertEqual("plain\nmade\n", r.out, r)
        self.assertEqual(["secret"], os.listdir(os.path.join(self.dir, "no")))
        # The same once more without the inner one.
        self.assertIn("SECRET", self.sluice("sh", "-c", script, policy="open").out)

    @case
    def an_inner_run_does_not_widen_the_outer(self):
        self.put("no/secret", "SECRET\n")
        self.put("ok/plain", "plain\n")
        outer = "include open\ndeny all {dir}/no\n"
        inner = self.sluice_argv("cat", "ok/plain", "no/secret", policy=KERNEL_ALONE.replace("/ok", ""))
        r = self.sluice(*inner, policy=outer)
        if LAYERS == "auto":
            self.assertEqual("plain\n", r.out, r)
        self.assertNotIn("SECRET", r.out, r)

    @case
    def doctor_knows_that_it_is_inside(self):
        r = self.sluice(SLUICE, "doctor", policy="open")
        self.assertRegex(r.out, r"(?m)^NO +supervisor +this process has one already")


MISSING = ("landlock_create_ruleset", "io_uring_setup", "process_vm_readv", "process_vm_readv=EPERM", "pidfd_getfd",
           "pidfd_getfd=EPERM", "pidfd_open", BEFORE_6_9, "kcmp", "ptrace=EPERM",
           "landlock_create_ruleset,io_uring_setup,process_vm_readv=EPERM,pidfd_getfd=EPERM,ptrace=EPERM")
add_cases(Degradation, MISSING, lambda self, m: self.enforces_without(m), "enforces_the_same_without_")
