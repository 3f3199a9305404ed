# SPDX-License-Identifier: Apache-2.0
"""The supervisor can't be reached from the tree, and the tree does not outlive it."""

import contextlib
import ctypes
import fcntl
import glob
import os
import pathlib
import signal
import subprocess
import time

from harness import SLUICE, add_cases, case
from test_attacks import CANNOT, ESCAPED, HELD, HOLE, Attack

SUPERVISOR_ATTACKS = ("memory", "tracing", "descriptors", "limits", "scheduling", "signals", "group_signals",
                      "threads_by_kill", "threads_by_queue", "threads_by_descriptor", "threads_by_owner")
# Nothing more is refused, but the supervisor does what Landlock could.
EMULATED = HOLE + "deny rw **/*.never-there\n"
# What stands in the supervisor's place in a control.
SLEEPER = """
import threading, time
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
time.sleep(60)
"""


# An opener that meets the FIFO waits, as it would natively, and is killed. Prints how often that was.
# By libc's own open: Python's does not tell of EINTR.
FIFO_SWAPS = """
import ctypes, os, signal, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def open_once():
    fd = libc.open(b"file", os.O_RDONLY | os.O_NOFOLLOW)
    if fd < 0: os.write(2, os.strerror(ctypes.get_errno()).encode())
    else: os.close(fd)
print("runs", flush=True)
print(sys.stdin.readline(), end="", flush=True)
end = time.monotonic() + 2
stalls = 0
while time.monotonic() < end:
    r, w = os.pipe()
    opener = os.fork()
    if opener == 0:
        while time.monotonic() < end: open_once(); os.write(w, b"x")
        os._exit(0)
    os.close(w)
    os.set_blocking(r, False)
    while time.monotonic() < end:
        time.sleep(0.01)
        try:
            if not os.read(r, 65536): break
        except BlockingIOError: break
    os.close(r)
    os.kill(opener, signal.SIGKILL)
    os.waitpid(opener, 0)
    stalls += 1
print(stalls, flush=True)
sys.stdin.readline()
"""


# Asks the warden, its parent, to trace it, in each of its threads and in an orphan, and meets signals and an exec.
TRACE_ME = """
import ctypes, os, signal, sys, threading
libc = ctypes.CDLL(None)
def ask(): assert libc.ptrace(0, 0, 0, 0) == 0
if len(sys.argv) > 1:
    print("executed", flush=True)
    sys.exit(7)
signal.signal(signal.SIGUSR1, lambda *_: print("handled", flush=True))
r, w = os.pipe()
if os.fork() == 0:
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent: pass
        ask()
        os.kill(os.getpid(), signal.SIGUSR1)
        os.write(w, b"x")
        os._exit(0)
    os._exit(0)
os.wait()
os.read(r, 1)
def in_thread():
    ask()
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
t = threading.Thread(target=in_thread)
t.start()
t.join()
ask()
for sig in signal.SIGUSR1, signal.SIGSTOP, signal.SIGWINCH:
    if sig == signal.SIGSTOP and os.fork() == 0:
        stopped = lambda: open("/proc/%d/stat" % os.getppid()).read().rpartition(")")[2].split()[0] in "Tt"
        while not stopped(): pass
        os.kill(os.getppid(), signal.SIGCONT)
        os._exit(0)
    os.kill(os.getpid(), sig)
os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
"""


def exe_of(pid):
    with contextlib.suppress(OSError):
        return os.readlink("/proc/%d/exe" % pid)
    return ""


def name_of(pid):
    with contextlib.suppress(OSError), open("/proc/%d/comm" % pid) as f:
        return f.read().strip()
    return ""


def parents():
    """{pid: parent} of all processes."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open("/proc/%s/stat" % pid) as f:
            found[int(pid)] = int(f.read().rpartition(")")[2].split()[1])
    return found


def descendants(top):
    tree, found, grew = parents(), {top}, True
    while grew:
        more = {pid for pid, parent in tree.items() if parent in found} - found
        found, grew = found | more, bool(more)
    return found - {top}


class Supervisor(Attack):
    def start_attack(self, name, policy=HOLE):
        program = self.program("attack_supervisor")
        process = self.start(self.sluice_argv(program, name, self.dir, policy=policy))
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(self.kill_session, process)
        return process, program

    def helpers_of(self, process):
        """Processes of sluice itself beside its first one (the warden and what it may have more). The
        warden is not dumpable, so that only root can read its exe."""
        return [p for p in descendants(process.pid)
                if exe_of(p) == os.path.realpath(SLUICE) or name_of(p) == "sluice-warden"]

    def attack_supervisor(self, name):
        program = self.program("attack_supervisor")
        self.lay_out()
        sleeper = subprocess.Popen(["/usr/bin/python3", "-c", SLEEPER], env=self.environment())
        self.wait_for("its thread", lambda: len(os.listdir("/proc/%d/task" % sleeper.pid)) > 1)
        self.put("ok/pids", str(sleeper.pid))
        control = self.native(program, name, self.dir, env={"ATTACK_CONTROL": "1"})
        sleeper.kill()
        sleeper.wait()
        if control.status == CANNOT:
            self.skip(control.out.strip())
        self.assert_status(control, ESCAPED)
        os.unlink(os.path.join(self.dir, "ok/pids"))

        process, _ = self.start_attack(name)
        self.wait_for("the target", lambda: any(exe_of(p) == program for p in descendants(process.pid)))
        above = [process.pid] + self.helpers_of(process)
        self.put("ok/pids.new", "\n".join(map(str, above)))
        os.rename(os.path.join(self.dir, "ok/pids.new"), os.path.join(self.dir, "ok/pids"))
        out, err = process.communicate(timeout=30)
        self.assertEqual(process.returncode, HELD, "victims %s\n%s\n%s" % (above, out, err))

    # Death --------------------------------------------------------------------------------------

    def stubborn(self):
        self.lay_out()
        process, program = self.start_attack("stubborn_tree")
        self.wait_for("the tree", lambda: os.path.exists(os.path.join(self.dir, "ok/ready")), 10)
        time.sleep(0.3)
        tree = [p for p in self.marked() if exe_of(p) == program]
        self.assertGreater(len(tree), 6)
        return process, program, self.protected()

    def assert_tree_gone(self, program, before, seconds=1.0):
        began = time.monotonic()
        while True:
            left = [p for p in self.marked() if exe_of(p) == program]
            if not left:
                break
            if time.monotonic() - began > seconds:
                self.fail("%d of the tree live after %.1f s" % (len(left), seconds))
            time.sleep(0.01)
        with open(os.path.join(self.dir, "ok/leak")) as f:
            self.assertEqual("", f.read(), "the tree read the secret")
        self.assertEqual(before, self.protected())

    @case
    def control_a_stubborn_tree_survives_without_sluice(self):
        self.lay_out()
        program = self.program("attack_supervisor")
        process = self.start([program, "stubborn_tree", self.dir])
        self.addCleanup(self.kill_session, process)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.wait_for("the tree", lambda: os.path.exists(os.path.join(self.dir, "ok/ready")))
        process.kill()
        process.wait()
        time.sleep(0.5)
        left = [p for p in self.marked() if exe_of(p) == program]
        self.put("ok/stop")
        self.assertGreater(len(left), 3)
        with open(os.path.join(self.dir, "ok/leak")) as f:
            self.assertIn("leak", f.read())

    @case
    def tree_dies_with_a_killed_supervisor(self):
        process, program, before = self.stubborn()
        process.kill()
        self.assert_tree_gone(program, before)

    @case
    def tree_dies_with_a_killed_warden(self):
        process, program, before = self.stubborn()
        helpers = self.helpers_of(process)
        self.assertTrue(helpers, "sluice has no second process")
        for pid in helpers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.assert_tree_gone(program, before)
        process.communicate(timeout=5)
        self.assertNotEqual(process.returncode, 0)

    @case
    def tree_dies_when_the_supervisor_is_terminated(self):
        process, program, before = self.stubborn()
        process.terminate()
        self.assert_tree_gone(program, before, 3.0)

    @case
    def leases_hold_up_nobody_else(self):
        # A lease on each of many files, then an opener of each: natively every one of them waits.
        script = """
import fcntl, os, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
taken = []
for i in range(100):
    fd = os.open("leased%d" % i, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        taken.append(fd)
    except OSError:
        os.close(fd)
children = []
for i in range(100):
    pid = os.fork()
    if pid == 0:
        os.close(os.open("leased%d" % i, os.O_RDONLY))
        os._exit(0)
    children.append(pid)
time.sleep(0.3)
waiting = sum(os.waitpid(pid, os.WNOHANG)[0] == 0 for pid in children)
began = time.monotonic()
os.close(os.open("plain", os.O_RDWR | os.O_CREAT))
print(waiting > 50, time.monotonic() - began < 2, flush=True)
os._exit(0)
"""
        argv = ["/usr/bin/python3", "-c", script]
        native = self.start(argv)
        self.addCleanup(native.stdout.close)
        self.addCleanup(native.stderr.close)
        self.addCleanup(native.wait)
        self.addCleanup(self.kill_session, native)
        self.assertEqual("True True", native.stdout.readline().strip(), "natively the openers wait")
        self.kill_session(native)
        # Named by a glob, so that the supervisor does the opens.
        result = self.sluice(*argv, policy="{base}\nallow all {dir}\ndeny read **/.env\n")
        self.assertRegex(result.out, "True$", result)

    @case
    def a_lease_of_somebody_outside_is_waited_for(self):
        """As natively; with O_NONBLOCK there is nothing to wait for."""
        self.lay_out()
        script = """
import os, sys, time
for more in os.O_NOFOLLOW, 0, os.O_NOFOLLOW | os.O_NONBLOCK:
    sys.stdin.readline()
    began = time.monotonic()
    try:
        print(os.read(os.open("leased", os.O_RDONLY | more), 9), time.monotonic() - began > 0.2, flush=True)
    except OSError as e:
        print(e.strerror, time.monotonic() - began > 0.2, flush=True)
"""
        for run in (self.start, lambda argv, **how: self.start(self.sluice_argv(*argv, policy=HOLE), **how)):
            process = run(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE)
            self.addCleanup(self.kill_session, process)
            self.wait_for("the command", lambda p=process: p.poll() is None)
            said = []
            for _ in range(3):
                fd = os.open(self.put("leased", "content"), os.O_RDWR)
                before = signal.signal(signal.SIGIO, signal.SIG_IGN)
                try:
                    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
                    process.stdin.write("go\n")
                    process.stdin.flush()
                    time.sleep(0.4)
                finally:
                    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
                    os.close(fd)
                    signal.signal(signal.SIGIO, before)
                said.append(process.stdout.readline().strip())
                os.unlink(os.path.join(self.dir, "leased"))
            _, err = process.communicate(timeout=30)
            self.assertEqual(["b'content' True"] * 2 + ["Resource temporarily unavailable False"], said, err)

    @case
    def daemons_end_with_the_command(self):
        self.lay_out()
        program = self.program("attack_supervisor")
        ready = os.path.join(self.dir, "ok/ready")
        # The shell ends as soon as the daemons are up.
        script = '"$0" stubborn_tree "$1" & while [ ! -e "$1/ok/ready" ]; do sleep 0.05; done; exit 3'
        result = self.sluice("sh", "-c", script, program, self.dir, policy=HOLE)
        self.assert_status(result, 3)
        self.assertTrue(os.path.exists(ready))
        self.assertEqual([], [p for p in self.marked() if exe_of(p) == program])

    # Tracing ------------------------------------------------------------------------------------

    @case
    def who_asks_to_be_traced_goes_on(self):
        """Without a supervisor that ends or stops of the same signal, be it a job of its own or not."""
        script = self.put("traced.py", TRACE_ME)
        argv = self.sluice_argv("/usr/bin/python3", script, policy="{base}\nallow all {dir}\n")
        for own_job in (False, True):
            process = subprocess.Popen(argv, env=self.environment(), cwd=self.dir, stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                       process_group=0 if own_job else None)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            if own_job:  # SIGSTOP stops the job, and whoever waits for it may continue it
                end = time.monotonic() + 20
                while process.poll() is None and time.monotonic() < end:
                    os.kill(process.pid, signal.SIGCONT)
                    time.sleep(0.05)
            out, err = process.communicate(timeout=20)
            self.assertEqual((7, "handled\n" * 3 + "executed\n"), (process.returncode, out), err)

    # Waiting ------------------------------------------------------------------------------------

    @case
    def blocked_opens_hold_nobody_up(self):
        """Forty processes wait for fifos; another's opens are answered at once all the same."""
        self.lay_out()
        script = """
            i=0; while [ $i -lt 40 ]; do mkfifo ok/f$i; (read x < ok/f$i) & i=$((i+1)); done
            sleep 0.3
            i=0; while [ $i -lt 200 ]; do read x < ok/plain0 || exit 9; i=$((i+1)); done
            echo served
            i=0; while [ $i -lt 40 ]; do echo go > ok/f$i; i=$((i+1)); done
            wait
            echo all
        """
        result = self.sluice("sh", "-c", script, policy=HOLE, timeout=30)
        self.assert_status(result, 0)
        self.assertEqual("served\nall\n", result.out)

    @case
    def a_fifo_that_takes_a_files_place_keeps_no_worker(self):
        """They change places beside the hole, where the supervisor opens what is new. Who waited in the
        FIFO for a caller that was killed since would wait for ever."""
        self.lay_out()
        process = self.start(self.sluice_argv("/usr/bin/python3", "-c", FIFO_SWAPS, policy=HOLE),
                             stdin=subprocess.PIPE)
        self.addCleanup(self.kill_session, process)
        self.assertEqual("runs\n", process.stdout.readline())
        os.mkfifo(os.path.join(self.dir, "fifo"))
        self.put("file", "plain\n")
        names = [os.path.join(self.dir, name).encode() for name in ("file", "fifo")]
        process.stdin.write("go\n")
        process.stdin.flush()
        self.assertEqual("go\n", process.stdout.readline())
        end = time.monotonic() + 2
        while time.monotonic() < end:
            ctypes.CDLL(None).renameat2(-100, names[0], -100, names[1], 2)
        stalls = int(process.stdout.readline())
        time.sleep(1.5)  # who hangs for a second gets a substitute
        tasks = glob.glob("/proc/%d/task/*/comm" % process.pid)
        workers = sum(pathlib.Path(path).read_text() == "sluice-worker\n" for path in tasks)
        out, err = process.communicate("\n", timeout=30)
        told = [line for line in err.splitlines() if not line.startswith("sluice: ")]
        self.assertEqual((0, "", []), (process.returncode, out, told))
        self.assertGreater(stalls, 5, "the swap was hardly ever met")
        self.assertLessEqual(workers, 4, "more than a run begins with: some hang in an open")

    @case
    def kills_in_a_row_are_not_interrupted(self):
        """By the death of who was killed before: a shell handles that."""
        script = """
            i=0; while [ $i -lt 100 ]; do
                sleep 60 & a=$!; sleep 60 & b=$!; sleep 60 & c=$!
                kill -9 $a $b $c; wait $a $b $c; i=$((i+1))
            done
        """
        self.lay_out()
        result = self.sluice("sh", "-c", script, policy=HOLE)
        self.assert_status(result, 0)
        self.assertNotIn("Interrupted", result.err)

    @case
    def who_waits_for_a_fifo_ends_of_its_signal_however_the_tree_is_watched(self):
        """Traced, a thread is woken by no signal but KILL while its call is another's to answer."""
        script = """
            mkfifo ok/f
            for signal in TERM HUP ALRM; do
                (exec 3>ok/f) & pid=$!
                sleep 0.3; kill -$signal $pid
                i=0; while kill -0 $pid 2>/dev/null && [ $i -lt 40 ]; do sleep 0.05; i=$((i+1)); done
                kill -9 $pid 2>/dev/null; wait $pid; echo $signal $?
            done
        """
        want = "TERM 143\nHUP 129\nALRM 142\n"
        self.lay_out()
        argv = ["sh", "-c", script]
        self.assertEqual(want, self.native(*argv).out)
        checked = EMULATED + "deny exec **/*.never-there\nexec-holes checked\n"
        for policy, options in ((EMULATED, ()), (EMULATED, ("--on-death", "ptrace")), (checked, ())):
            os.unlink(os.path.join(self.dir, "ok/f"))
            r = self.sluice(*argv, policy=policy, options=options)
            self.assertEqual(want, r.out, r)

    @case
    def many_who_wait_end_at_once_where_the_tree_is_traced(self):
        script = """
            mkfifo ok/f; i=0; pids=
            while [ $i -lt 30 ]; do (exec 3>ok/f) & pids="$pids $!"; i=$((i+1)); done
            sleep 0.5; kill -TERM $pids
            for pid in $pids; do wait $pid; echo $?; done
        """
        self.lay_out()
        self.assertEqual("143\n" * 30, self.native("sh", "-c", script).out)
        os.unlink(os.path.join(self.dir, "ok/f"))
        r = self.sluice("sh", "-c", script, policy=EMULATED, options=["--on-death", "ptrace"], timeout=20)
        self.assertEqual("143\n" * 30, r.out, r)

    @case
    def targets_killed_while_waiting_leave_nothing_behind(self):
        self.lay_out()
        script = """
            mkfifo ok/f
            round=0
            while [ $round -lt 20 ]; do
                i=0; pids=
                while [ $i -lt 10 ]; do (read x < ok/f) & pids="$pids $!"; i=$((i+1)); done
                sleep 0.05
                kill -9 $pids
                wait
                round=$((round+1))
            done 2>/dev/null
            cat ok/plain0
        """
        process = self.start(self.sluice_argv("sh", "-c", script, policy=HOLE))
        self.addCleanup(self.kill_session, process)
        counts = []
        with contextlib.suppress(OSError):
            while process.poll() is None:
                counts.append(len(os.listdir("/proc/%d/fd" % process.pid)))
                time.sleep(0.05)
        out, err = process.communicate(timeout=30)
        self.assertEqual((0, "plain\n"), (process.returncode, out), err)
        if len(counts) > 10:
            self.assertLess(counts[-2], counts[len(counts) // 4] + 24, "descriptors pile up: %s" % counts)


# Only what is defined here: the cases of the base class run in test_attacks.
for name_ in [n for n in dir(Attack) if getattr(getattr(Attack, n), "is_case", False)]:
    setattr(Supervisor, name_, None)
add_cases(Supervisor, SUPERVISOR_ATTACKS, lambda self, n: self.attack_supervisor(n), "is_out_of_reach_of_")
del Attack
