# SPDX-License-Identifier: Apache-2.0
"""Promises that no other file looks at: failures that must close, a `never` that nothing lifts, refusals
that stay with a task wherever it goes, threads that are confined. tests/INVARIANTS.md says which is where."""

import ctypes
import os
import re
import time

from harness import SluiceCase, case

HOLE = "{base}\nallow all {dir}\ndeny all {dir}/no\n"
NEVER = "{base}\nallow rw {dir}\nnever all {dir}/no\n"

IN_OPEN = 0x20
INOTIFY_EVENT_BYTES = 16  # of a file that is watched by itself

FULL = """
import errno, os, sys
held = []
try:
    while True: held.append(os.dup(0))
except OSError: pass
for name in ("new", "ok/new", "old"):
    try: os.open(name, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600); print("opened")
    except OSError as e: print(errno.errorcode[e.errno], os.path.exists(name))
print(os.stat("old").st_size)
os.close(held.pop()); os.close(os.open("new", os.O_CREAT | os.O_WRONLY)); print(os.path.exists("new"))
"""

# A path that the process may not read itself, again and again; the last line is the control.
UNREADABLE = """
import ctypes, errno, mmap, os
os.close(os.open("new", os.O_CREAT | os.O_RDWR, 0o600))
libc = ctypes.CDLL(None, use_errno=True)
page = mmap.mmap(-1, mmap.PAGESIZE)
page.write(b"new\\0")
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
def tries(protection):
    libc.mprotect(ctypes.c_void_p(at), mmap.PAGESIZE, protection)
    found = set()
    for _ in range(40):
        fd = libc.open(ctypes.c_void_p(at), os.O_RDONLY)
        found.add(errno.errorcode[ctypes.get_errno()] if fd < 0 else "opened")
        if fd >= 0: os.close(fd)
    return sorted(found)
print(tries(3), tries(0), tries(3))
"""

# As far away from the first process as a task can get.
AWAY = """
import os, subprocess, sys
r, w = os.pipe()
if os.fork(): os.close(w); os.read(r, 1); sys.exit()
os.setsid()
if os.fork(): os._exit(0)
os.set_inheritable(w, True)
os.chdir("/")
if os.geteuid() == 0: os.setresgid(%d, %d, %d); os.setresuid(%d, %d, %d)
for argv in (["cat", "{0}"], ["setsid", "-w", "cat", "{0}"], ["nice", "sh", "-c", "cat {0}"],
             ["env", "-i", "/bin/cat", "{0}"]):
    subprocess.run(argv, stderr=subprocess.DEVNULL)
print("end", flush=True)
"""


# What four calls tell of a file by a descriptor, that of O_PATH and one to read with.
LOOKS = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
def tell(f):
    try: return f()
    except OSError as e: return errno.errorcode[e.errno]
def size_of(fd):
    buf = ctypes.create_string_buffer(256)
    if libc.syscall(5, fd, buf) < 0: return errno.errorcode[ctypes.get_errno()]
    return int.from_bytes(buf[48:56], "little")
def fstatfs(fd):
    return errno.errorcode[ctypes.get_errno()] if libc.fstatfs(fd, ctypes.create_string_buffer(256)) < 0 else 0
for how in "path", "read":
    fd = os.open("no/secret", os.O_PATH if how == "path" else os.O_RDONLY)
    real = os.open("no/secret", os.O_RDONLY)
    print(how, "fstat", size_of(fd), "fstatfs", fstatfs(fd), "fgetxattr", tell(lambda: os.getxattr(real, "user.known")),
          "flistxattr", tell(lambda: os.listxattr(real)), end=" ")
only = os.open("ok/plain", os.O_PATH)
print("pipe", size_of(os.pipe()[0]), size_of(-100), size_of(999), tell(lambda: os.getxattr(only, "user.known")))
"""

# The sizes that are told while a path in memory turns from one name to another.
TURNING_LOOKS = """
import ctypes, os, threading, time
libc = ctypes.CDLL(None)
names = b"ok/plain\\0\\0", b"no/secret\\0"
path = ctypes.create_string_buffer(names[0], 10)
end = time.monotonic() + 0.5
def turn():
    while time.monotonic() < end:
        for name in names: ctypes.memmove(path, name, 10)
threading.Thread(target=turn).start()
sizes = set()
buf = ctypes.create_string_buffer(256)
while time.monotonic() < end:
    fd = libc.open(path, os.O_PATH)
    if fd >= 0:
        if libc.syscall(5, fd, buf) == 0: sizes.add(int.from_bytes(buf[48:56], "little"))
        libc.close(fd)
print(sorted(sizes))
"""


class Invariants(SluiceCase):
    def lay_out(self):
        os.chmod(self.root, 0o755)
        self.put("no/secret", "SECRET\n", 0o644)
        self.put("ok/plain", "plain\n", 0o644)
        self.put("old", "old\n")

    @case
    def a_full_descriptor_table_changes_nothing(self):
        """Where ADDFD would fail: the answer is the kernel's own, and comes before anything is made."""
        self.lay_out()
        argv = ["prlimit", "--nofile=64:64", "/usr/bin/python3", "-c", FULL]
        native = self.native(*argv)
        self.assertEqual(["EMFILE False", "EMFILE False", "EMFILE True", "4", "True"], native.out.splitlines())
        os.unlink(os.path.join(self.dir, "new"))
        r = self.sluice(*argv, policy=HOLE)
        self.assertEqual(native.out, r.out, r)

    def opens_seen(self, path, options):
        """How often `cat PATH` opens it, as somebody beside it sees."""
        libc = ctypes.CDLL(None, use_errno=True)
        watch = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.assertGreaterEqual(watch, 0)
        try:
            self.assertGreater(libc.inotify_add_watch(watch, os.fsencode(path), IN_OPEN), 0)
            r = self.sluice("cat", path, policy="open", options=options)
            try:
                return r, len(os.read(watch, 4096)) // INOTIFY_EVENT_BYTES
            except BlockingIOError:
                return r, 0
        finally:
            os.close(watch)

    @case
    def what_is_refused_by_its_name_is_not_even_opened(self):
        self.lay_out()
        path = os.path.join(self.dir, "ok/plain")
        for layers in ([], ["--layers", "emulate"]):
            r, opens = self.opens_seen(path, layers)
            self.assertEqual(("plain\n", 1), (r.out, opens), "the control: an allowed one is\n%s" % r)
            r, opens = self.opens_seen(path, [*layers, "--deny", "read:" + path])
            self.assertEqual(("", 0), (r.out, opens), r)

    @case
    def a_path_that_its_caller_can_not_read_is_never_opened(self):
        """The kernel says EFAULT; what we can read of a task is more than what it may."""
        self.lay_out()
        argv = ["/usr/bin/python3", "-c", UNREADABLE]
        self.assertEqual("['opened'] ['EFAULT'] ['opened']\n", self.native(*argv).out)
        os.unlink(os.path.join(self.dir, "new"))
        for policy in (HOLE, "open"):
            r = self.sluice(*argv, policy=policy)
            self.assertEqual("['opened'] ['EFAULT'] ['opened']\n", r.out, r)

    @case
    def nothing_lifts_a_never(self):
        self.lay_out()
        secret = os.path.join(self.dir, "no/secret")
        for options in ([], ["--allow", "all:" + self.dir], ["--ask", "rw:" + self.dir],
                        ["--allow", "all:%s/**" % self.dir], ["--allow", "all:**/secret"]):
            r = self.sluice("sh", "-c", "cat no/secret; echo x >no/secret; ls no; mv no/secret s; cat s", policy=NEVER,
                            options=options + ["--prompt", "none"])
            if r.status == 125:
                self.assertIn("never all", r.err)
            self.assertNotIn("SECRET", r.out, r)
            self.assertTrue(os.path.exists(secret))
        for rule in ("--allow", "--ask"):
            r = self.sluice("cat", "no/secret", policy=NEVER, options=[rule, "read:" + secret])
            self.assert_status(r, 125)
            self.assertRegex(r.err, r'has no effect, .*:5 says "never all .*"')
        r = self.sluice("cat", "no/secret", policy=NEVER.replace("never", "deny"),
                        options=["--allow", "read:" + secret])
        self.assertEqual("SECRET\n", r.out, "the control: a deny is lifted by what is nearer\n%s" % r)

    @case
    def no_task_gets_away_from_its_policy(self):
        self.lay_out()
        script = (AWAY % ((65534,) * 6)).replace("{0}", os.path.join(self.dir, "no/secret"))
        for policy in (HOLE, HOLE.replace("deny all {dir}/no", "deny rw **/no")):
            self.assertEqual(4, self.native("/usr/bin/python3", "-c", script).out.count("SECRET"))
            r = self.sluice("/usr/bin/python3", "-c", script, policy=policy)
            self.assertEqual("end\n", r.out, r)

    @case
    def what_may_not_be_looked_at_is_not_told_by_a_descriptor_either(self):
        self.lay_out()
        argv = ["/usr/bin/python3", "-c", LOOKS]
        told = "fstat 7 fstatfs 0 fgetxattr b'yes' flistxattr ['user.known']"
        refused = "fstat EPERM fstatfs EPERM fgetxattr EPERM flistxattr EPERM"
        os.setxattr(os.path.join(self.dir, "no/secret"), "user.known", b"yes")
        self.assertEqual("path %s read %s pipe 0 EBADF EBADF EBADF\n" % (told, told), self.native(*argv).out)
        for policy in ("never stat {dir}/no/secret", "never stat **/secret"):
            r = self.sluice(*argv, policy="{base}\nallow all {dir}\n%s\n" % policy)
            self.assertEqual("path %s read %s pipe 0 EBADF EBADF EBADF\n" % (refused, refused), r.out, r)
        r = self.sluice(*argv, policy="{base}\nallow all {dir}\nnever stat **/other\n")
        self.assertEqual("path %s read %s pipe 0 EBADF EBADF EBADF\n" % (told, told), r.out, r)

    @case
    def a_path_that_turns_tells_nothing_of_what_may_not_be_looked_at(self):
        """The kernel reads the path of an O_PATH open itself."""
        self.lay_out()
        argv = ["/usr/bin/python3", "-c", TURNING_LOOKS]
        self.assertEqual("[6, 7]\n", self.native(*argv).out)
        r = self.sluice(*argv, policy="{base}\nallow all {dir}\nnever stat **/secret\n")
        self.assertEqual("[6]\n", r.out, r)

    def threads_by_confinement(self, pid):
        """By name; (tid, [seccomp mode, no_new_privs], name) of each."""
        tasks, confined, others = "/proc/%d/task" % pid, [], []
        for tid in os.listdir(tasks):
            with open("%s/%s/status" % (tasks, tid), encoding="utf-8") as f:
                text = f.read()
            mode = [re.search(key + r":\t(\d)", text)[1] for key in ("Seccomp", "NoNewPrivs")]
            name = re.search(r"Name:\t(.*)", text)[1]
            served = name in ("sluice-confined", "sluice-worker", "sluice-slow", "sluice-monitor")
            (confined if served else others).append((int(tid), mode, name))
        return confined, others

    @case
    def what_serves_the_target_is_confined(self):
        self.lay_out()
        process = self.start(self.sluice_argv("sh", "-c", "cat ok/plain; echo up; exec sleep 30", policy=HOLE))
        self.addCleanup(self.kill_session, process)
        self.assertEqual("plain\n", process.stdout.readline())
        self.assertEqual("up\n", process.stdout.readline())
        deadline = time.monotonic() + 10
        confined, others = self.threads_by_confinement(process.pid)
        while sorted(t[2] for t in others) != ["sluice", "sluice-control"] and time.monotonic() < deadline:
            time.sleep(0.01)  # a new thread bears its maker's name at first
            confined, others = self.threads_by_confinement(process.pid)
        process.kill()
        process.communicate()
        self.assertGreater(len(confined), 1)
        self.assertEqual([], [t for t in confined if t[1] != ["2", "1"]], "no filter of workers")
        self.assertEqual(["sluice", "sluice-control"], sorted(t[2] for t in others), "only these are free")
