# SPDX-License-Identifier: Apache-2.0
"""Every call that takes a path: allowed where a rule allows it, refused with the rule's error elsewhere."""

import contextlib
import ctypes
import os
import re
import shutil
import socket

from harness import SluiceCase, add_cases, case, differences, tree_of

OPERATIONS = ("read", "list", "write", "create", "delete", "meta", "stat", "connect")
# A refusal of write refuses replacement too.
IMPLIED = {"write": ("write", "create", "delete")}


class Calls(SluiceCase):
    def lay_out(self, name="t"):
        top = os.path.join(self.dir, name)
        for file in ["file"] + ["file%d" % i for i in range(2, 11)] + ["victim"]:
            self.put("%s/%s" % (name, file), "content\n")
        for d in ("dir", "empty", "empty2"):
            os.mkdir(os.path.join(top, d))
        os.symlink("file", os.path.join(top, "link"))
        for name_, kind in (("server", socket.SOCK_STREAM), ("datagrams", socket.SOCK_DGRAM)):
            s = socket.socket(socket.AF_UNIX, kind)
            s.bind(os.path.join(top, name_))
            if kind == socket.SOCK_STREAM:
                s.listen(5)
            self.addCleanup(s.close)
        return top

    def results(self, top, policy=None, options=()):
        argv = [self.program("every_call"), top]
        run = self.native(*argv) if policy is None else self.sluice(*argv, policy=policy, options=options)
        self.assert_status(run, 0)
        found = {}
        for line in run.out.splitlines():
            name, ops, error = line.split()
            found[name] = (ops.split(","), error)
        self.assertGreater(len(found), 65, run)
        return found, run

    def expect(self, found, run, want):
        """WANT(ops) is the error that a call with these operations must give."""
        wrong = []
        for name, (ops, error) in found.items():
            wanted = want(["connect"] if ops == ["datagram"] else ops)
            # Where peers are restricted the filter may refuse datagram sockets as a whole.
            if error != wanted and not (ops == ["datagram"] and error == "EACCES"):
                wrong.append("%s (%s): %s, want %s" % (name, ",".join(ops), error, wanted))
        if wrong:
            self.fail("\n".join(wrong) + "\n" + str(run.err[:3000]))

    @case
    def natively_every_call_works(self):
        top = self.lay_out()
        found, run = self.results(top)
        self.expect(found, run, lambda ops: "0")

    @case
    def works_in_an_allowed_tree(self):
        top = self.lay_out()
        found, run = self.results(top, "{base}\nallow all {dir}\n")
        self.expect(found, run, lambda ops: "0")

    @case
    def works_beneath_a_glob(self):
        top = self.lay_out()
        found, run = self.results(top, "{base}\nallow all {dir}\ndeny rw,connect,stat **/*.never-there\n")
        self.expect(found, run, lambda ops: "0")

    def refused(self, rules, error, stat_error="0"):
        top = self.lay_out()
        before = tree_of(top)
        found, run = self.results(top, "{base}\n" + rules)
        self.expect(found, run, lambda ops: stat_error if ops == ["stat"] else error)
        # Access times aside, nothing has changed and nothing is new.
        self.assertEqual([], differences(before, tree_of(top)), run)

    @case
    def refuses_where_no_rule_speaks(self):
        self.refused("", "EACCES")

    @case
    def refuses_in_a_denied_directory(self):
        self.refused("allow all {dir}\ndeny all {dir}/t\n", "EACCES")

    @case
    def refuses_by_a_glob(self):
        self.refused("allow all {dir}\ndeny rw,connect **/t\n", "EACCES")

    @case
    def refuses_metadata_too(self):
        self.refused("allow all,stat {dir}\ndeny all,stat {dir}/t\n", "EACCES", "EACCES")

    @case
    def refuses_a_never_with_eperm(self):
        self.refused("allow all {dir}\nnever all {dir}/t\nallow all {dir}/other\n", "EPERM")

    @case
    def refuses_as_the_rule_says(self):
        self.refused("allow all {dir}\ndeny all {dir}/t as ENOENT\n", "ENOENT")

    @case
    def fails_for_the_reasons_of_the_call_alone(self):
        """Where names are the supervisor's to make, beside a hole: what was missing to it may be there for the kernel,
        which must not be asked then."""
        top = os.path.join(self.dir, "t")
        for policy in (None, "{base}\nallow all {dir}\ndeny write {dir}/t/no\n", "{base}\nallow all {dir}\n"):
            os.mkdir(top)
            argv = [self.program("make_race"), top, "150"]
            r = self.native(*argv) if policy is None else self.sluice(*argv, policy=policy)
            self.assert_status(r, 0)
            counts = re.search(r"^missing (\d+), existing (\d+), odd (\d+)$", r.out, re.M)
            missing, existing, odd = map(int, counts.groups())
            self.assertGreater(missing, 10, r.out[-300:])
            self.assertEqual(odd, 0, r.out[-300:])
            shutil.rmtree(top)

    @case
    def a_lock_file_that_is_removed_meanwhile_is_made_anew(self):
        """O_CREAT, with O_NOFOLLOW or without, finds or makes the file, though somebody outside removes it."""
        remove = """
import os
while True:
    try: os.unlink("lock")
    except FileNotFoundError: pass
"""
        script = """
import collections, os, time
end = time.monotonic() + 0.6
found = collections.Counter()
while time.monotonic() < end:
    for more in os.O_NOFOLLOW, 0:
        try:
            os.close(os.open("lock", os.O_CREAT | os.O_RDWR | more, 0o600))
            found["opened"] += 1
        except OSError as e:
            found[e.strerror] += 1
print(found["opened"] > 100, *(e for e in found if e != "opened"))
"""
        remover = self.start(["/usr/bin/python3", "-c", remove])
        try:
            for policy in (None, "{base}\nallow all {dir}\ndeny read **/.env\n"):
                argv = ["/usr/bin/python3", "-c", script]
                r = self.native(*argv) if policy is None else self.sluice(*argv, policy=policy)
                self.assert_status(r, 0)
                self.assertEqual("True\n", r.out, r)
        finally:
            remover.kill()
            remover.communicate()

    @case
    def a_relative_read_starts_from_the_directory_itself(self):
        """Whatever name that has by now, and whatever has the name that it had."""
        for name in ("here", "there"):
            self.put(name + "/file", name)
        names = [os.path.join(self.dir, name).encode() for name in ("here", "there")]
        script = """
import collections, os, time
at = os.open("here", os.O_RDONLY)
os.chdir("here")
print("runs", flush=True)
found, end = collections.Counter(), time.monotonic() + 0.6
while time.monotonic() < end:
    for fd in os.open("file", os.O_RDONLY), os.open("file", os.O_RDONLY, dir_fd=at):
        found[os.read(fd, 9)] += 1
        os.close(fd)
print(*found)
"""
        for policy in (None, "{base}\nallow all {dir}\ndeny read **/.env\n"):
            argv = ["/usr/bin/python3", "-c", script]
            process = self.start(argv if policy is None else self.sluice_argv(*argv, policy=policy))
            self.addCleanup(self.kill_session, process)
            self.assertEqual("runs\n", process.stdout.readline())
            swaps = 0
            while process.poll() is None:
                ctypes.CDLL(None).renameat2(-100, names[0], -100, names[1], 2)
                swaps += 1
            out, err = process.communicate()
            self.assertEqual((0, "b'here'\n", ""), (process.returncode, out, err))
            self.assertGreater(swaps, 1000)
            if swaps % 2:
                ctypes.CDLL(None).renameat2(-100, names[0], -100, names[1], 2)

    @case
    def what_a_link_through_self_leads_to_is_the_callers(self):
        """To the supervisor, whose own "self" it would be, it is missing."""
        script = ("echo x >data; for l in /proc/self/fd/9 /proc/thread-self/fd/9 /dev/fd/9; do rm -f link; ln -s $l link; "
                  "for turn in 1 2; do cat link; echo y >>link; echo z >link; truncate -s 1 link; "
                  "exec 9<>data; done; exec 9<&-; done; cat data; exit 0").replace("9", "200")
        runs = []
        for policy in (None, "include open\ndeny write {dir}/no\n", "include open\n"):
            argv = ["bash", "-c", script]
            for record in (False, True):
                r = self.native(*argv) if policy is None else self.sluice(*argv, policy=policy, record=record)
                runs.append((r.status, r.out, r.err))
        self.assertEqual((runs[0][1], runs[0][2].count("o such file")), ("x\nzzz", 12), runs[0])
        for run in runs[1:]:
            self.assertEqual(run, runs[0])

    def refuses_only(self, op):
        """Deny one operation: the calls that need it fail and leave no trace, the others work."""
        top = self.lay_out()
        found, run = self.results(top, "{base}\nallow all,stat {dir}\ndeny %s {dir}/t\n" % op)
        denied = IMPLIED.get(op, (op,))
        self.expect(found, run, lambda ops: "EACCES" if any(o in denied for o in ops) else "0")
        if op == "create":
            self.assertEqual([], [n for n in os.listdir(top) if n.startswith("new") or n == "sock"])
        if op in ("delete", "write"):
            for n in ["file%d" % i for i in range(2, 11)] + ["empty", "empty2"]:
                self.assertTrue(os.path.lexists(os.path.join(top, n)), n)
        if op == "write":
            for n in ("file", "victim"):
                with contextlib.suppress(PermissionError), open(os.path.join(top, n)) as f:
                    self.assertEqual("content\n", f.read())

    def allows_only(self, op):
        """Allow one operation: the calls that need nothing else work."""
        top = self.lay_out()
        found, run = self.results(top, "{base}\nallow %s {dir}/t\n" % op)
        self.expect(found, run, lambda ops: "0" if all(o in (op, "stat") for o in ops) else "EACCES")


add_cases(Calls, OPERATIONS, lambda self, op: self.refuses_only(op), "denying_one_operation_refuses_only_")
add_cases(Calls, OPERATIONS, lambda self, op: self.allows_only(op), "allowing_one_operation_allows_only_")
