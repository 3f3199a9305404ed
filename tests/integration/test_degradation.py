# SPDX-License-Identifier: Apache-2.0
"""Without a kernel feature, sluice does the same another way, or says that it can't. Never less than asked.

The program `without` answers ENOSYS or EPERM for a call, as an old kernel or a container's profile would.
"""

import json
import os
import socket

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
           "pidfd_getfd=EPERM", "pidfd_open", "kcmp", "ptrace=EPERM",
           "landlock_create_ruleset,io_uring_setup,process_vm_readv=EPERM,pidfd_getfd=EPERM,ptrace=EPERM")
add_cases(Degradation, MISSING, lambda self, m: self.enforces_without(m), "enforces_the_same_without_")
