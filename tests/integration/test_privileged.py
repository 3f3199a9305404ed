# SPDX-License-Identifier: Apache-2.0
"""Where sluice runs as root: what a target gives up is not lent back to it, and what only capabilities
would open stays closed."""

import os
import shutil
import subprocess

from harness import LAYERS, PROGRAMS, SLUICE, SluiceCase, case

DROP = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
calls = {"securebits": [(28, 3)], "bounding_set": [(24, 1), (24, 2)]}[sys.argv[1]]
for option, value in calls:
    if libc.prctl(option, value, 0, 0, 0) != 0:
        sys.exit(77)
os.execv("/bin/cat", ["cat", sys.argv[2]])
"""
# Who others are told is at the other end: of what a child connects to that dropped its ids in the given way, and of
# a child that listens. Then what root makes after it is root's.
PEERS = """
import os, socket, struct, sys
def told(s):
    return struct.unpack("3i", s.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1:]
def drop():
    if sys.argv[1] == "all":
        os.setgroups([4242]); os.setresgid(4243, 4243, 4243); os.setresuid(4244, 4244, 4244)
    elif sys.argv[1] == "effective":
        os.setegid(4243); os.seteuid(4244)
    elif sys.argv[1] == "group":
        os.setresgid(4243, 4243, 4243)
def child(f):
    pid = os.fork()
    if pid == 0:
        try: drop(); f()
        finally: os._exit(0)
    return pid
server = socket.socket(socket.AF_UNIX)
server.bind("by-root"); server.listen(5); os.chmod("by-root", 0o777)
def client():
    s = socket.socket(socket.AF_UNIX); s.connect("by-root"); s.recv(1)
for i in range(3):
    pid = child(client)
    s = server.accept()[0]
    print("client", told(s), struct.unpack("i" * (len(s.getsockopt(1, 59, 64)) // 4), s.getsockopt(1, 59, 64)))
    s.close(); os.waitpid(pid, 0)
s = socket.socket(socket.AF_UNIX); s.bind("listens"); os.chmod("listens", 0o777)
os.waitpid(child(lambda: s.listen(1)), 0)
c = socket.socket(socket.AF_UNIX); c.connect("listens"); print("server", told(c))
c = socket.socket(socket.AF_UNIX); c.connect("by-root"); print("root", told(server.accept()[0]))
os.mkdir("new"); print(os.stat("new").st_uid, os.stat("new").st_gid)
os.rmdir("new"); os.unlink("by-root"); os.unlink("listens")
"""
# The kernel tells who watches a file of each open, also of an exec that fails, with a descriptor of it.
WATCH = """
import ctypes, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
flags, secret = int(sys.argv[1], 0), sys.argv[2]
group = libc.fanotify_init(flags | 2, os.O_RDONLY)
if group < 0:
    sys.exit("init: " + os.strerror(ctypes.get_errno()))
if libc.fanotify_mark(group, 1, ctypes.c_uint64(0x20), -100, secret.encode()) != 0:
    sys.exit("mark: " + os.strerror(ctypes.get_errno()))
pid = os.fork()
if pid == 0:
    try: os.execv(secret, ["x"])
    finally: os._exit(0)
os.waitpid(pid, 0)
fd = struct.unpack_from("=IBBHQii", os.read(group, 4096))[5]
print("told of an open")
if fd >= 0: print(os.pread(fd, 100, 0))
"""
PROFILES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../profiles")
POLICY = "{base}\nallow all {dir}\ndeny read **/.env\n"


class Privileged(SluiceCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skip("needs root")

    def drops(self, how):
        # Only CAP_DAC_OVERRIDE or CAP_DAC_READ_SEARCH opens it for root.
        os.chmod(self.root, 0o755)
        locked = self.put("locked", "SECRET\n", 0o600)
        os.chown(locked, 65534, 65534)
        argv = ["/usr/bin/python3", "-c", DROP, how, locked]
        self.assertIn("SECRET", self.native("/bin/cat", locked).out)
        native = self.native(*argv)
        if native.status == 77:
            self.skip("can't drop capabilities")
        self.assertNotIn("SECRET", native.out, "the kernel does not mind")
        self.assertIn("SECRET", self.sluice("/bin/cat", locked, policy=POLICY).out)
        result = self.sluice(*argv, policy=POLICY)
        self.assertNotIn("SECRET", result.out)
        self.assert_status(result, 1)

    @case
    def denies_the_environment_of_others_whatever_the_race(self):
        # Root may look into every process (CAP_PERFMON), where Landlock keeps other users from it.
        outsider = self.start(["/bin/sleep", "60"], env={"SECRET": "hidden-in-environ"})
        self.addCleanup(self.kill_session, outsider)
        argv = [os.path.join(PROGRAMS, "proc_race"), str(outsider.pid), "hidden-in-environ"]
        self.assert_status(self.native(*argv), 1)
        for policy in ("{base}\n", "{base}\nreport none\n"):
            self.assert_status(self.sluice(*argv, policy=policy), 0)

    @case
    def denies_it_to_an_ordinary_user_with_the_capability_alone(self):
        setpriv = ["/usr/bin/setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups",
                   "--inh-caps", "+perfmon", "--ambient-caps", "+perfmon"]
        if self.native(*setpriv, "true").status != 0:
            self.skip("setpriv can't give CAP_PERFMON here")
        os.chmod(self.root, 0o755)
        os.chown(self.dir, 65534, 65534)
        secret = {"SECRET": "hidden-in-environ", "HOME": self.dir}
        outsider = self.start(setpriv[:6] + ["/bin/sleep", "60"], env=secret)
        self.addCleanup(self.kill_session, outsider)
        program = os.path.join(self.root, "proc_race")
        shutil.copy(self.program("proc_race"), program)
        argv = [program, str(outsider.pid), "hidden-in-environ"]
        self.assert_status(self.native(*setpriv, *argv, env={"HOME": self.dir}), 1)
        # Where that user may execute it, with its profiles beside it.
        staged = os.path.join(self.root, "bin")
        os.mkdir(staged)
        shutil.copy(SLUICE, staged)
        shutil.copytree(PROFILES, os.path.join(self.root, "share/sluice/profiles"))
        for text in ("include base\nallow rx %s\n" % program, "include open\n"):
            policy = self.policy(text)
            os.chmod(policy, 0o644)
            sluice = [os.path.join(staged, "sluice"), "run", "--layers", LAYERS, "-p", policy, "--"]
            self.assert_status(self.native(*setpriv, *sluice, *argv, env={"HOME": self.dir}), 0)

    @case
    def peers_are_told_the_ids_of_the_target(self):
        os.chmod(self.root, 0o755)
        os.chmod(self.dir, 0o777)
        for how, seen in (("all", "client (4244, 4243) (4242,)"), ("effective", "client (4244, 4243)"),
                          ("group", "client (0, 4243)"), ("none", "client (0, 0)")):
            argv = ["/usr/bin/python3", "-c", PEERS, how]
            native = self.native(*argv)
            self.assertIn(seen, native.out, native)
            # Connects are made on its behalf; where bind is refused, and connect is not, listens too.
            for network in ("", "allow connect *:*\n"):
                r = self.sluice(*argv, policy=POLICY + network)
                self.assertEqual(native.out, r.out, r)

    @case
    def a_watched_file_is_not_handed_over(self):
        """Events name files by a handle, or there are none."""
        secret = self.put(".env", "SECRET\n", 0o755)
        classic, fid = "0", "0x200"
        argv = ["/usr/bin/python3", "-c", WATCH]
        if "SECRET" not in self.native(*argv, classic, secret).out:
            self.skip("no fanotify here")
        self.assertIn("told", self.sluice(*argv, fid, secret, policy=POLICY).out)
        r = self.sluice(*argv, classic, secret, policy=POLICY)
        self.assertNotIn("SECRET", r.out, r)
        self.assertIn("init: Operation not permitted", r.err)

    @case
    def capabilities_lost_by_securebits_are_not_lent(self):
        self.drops("securebits")

    @case
    def capabilities_lost_with_the_bounding_set_are_not_lent(self):
        self.drops("bounding_set")

    def outsider(self):
        process = subprocess.Popen(["sleep", "60"], env={"OUTSIDE": "SECRET"})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process.pid

    @case
    def environment_of_an_outsider_is_closed(self):
        argv = ["cat", "/proc/%d/environ" % self.outsider()]
        self.assertIn("SECRET", self.native(*argv).out)
        self.assertNotIn("SECRET", self.sluice(*argv, policy=POLICY).out)
        own = self.sluice("sh", "-c", "OWN=SECRET sh -c 'cat /proc/$$/environ'", policy=POLICY)
        self.assertIn("SECRET", own.out)

    @case
    def procfs_at_another_place_is_closed(self):
        elsewhere = os.path.join(self.dir, "proc")
        os.mkdir(elsewhere)
        if subprocess.run(["mount", "-t", "proc", "proc", elsewhere], stderr=subprocess.DEVNULL).returncode:
            self.skip("can't mount")
        self.addCleanup(subprocess.run, ["umount", elsewhere], check=True)
        argv = ["sh", "-c", "cat %s/[0-9]*/environ %s/self/environ" % (elsewhere, elsewhere)]
        env = {"PARENTS": "SECRET"}
        self.outsider()
        self.assertIn("SECRET", self.native("env", "-u", "PARENTS", *argv, env=env).out)
        result = self.sluice("env", "-u", "PARENTS", *argv, policy=POLICY, env=env)
        self.assertNotIn("SECRET", result.out)

    @case
    def a_profile_does_not_open_the_kernels_own_files(self):
        """It lets /proc be read, and reads there are the supervisor's, whose rights are root's."""
        argv = ["python3", "-c", "import os; os.open('/proc/kmsg', os.O_RDONLY | os.O_NONBLOCK); print('opened')"]
        if self.native(*argv).out != "opened\n":
            self.skip("/proc/kmsg can't be opened here")
        self.assertNotIn("opened", self.sluice(*argv, policy="build").out)
        named = self.sluice(*argv, policy="build", options=["--allow", "read:/proc/kmsg"])
        self.assertEqual(named.out, "opened\n", named)
