# SPDX-License-Identifier: Apache-2.0
"""Started by root, sluice serves targets of other users with their rights, never with its own.

The same program runs natively and under sluice: what it prints (results and error numbers) and what it
leaves (owners, groups, modes) must be equal. So each refusal here is one that the kernel gives as well.
"""

import contextlib
import os
import pathlib
import pwd
import shutil
import stat

from harness import SluiceCase, add_cases, case

USER = "sluicetest"
OTHERS = 54321   # a uid and gid of nobody
SHARED = 54322   # a supplementary group

# The hole makes the directory around it a gap: what is new there is emulated in both modes of layers.
HOLE = "{base}\nallow all {dir}\ndeny all {dir}/no\n"
# No Landlock grant beneath at all.
GLOB = "{base}\nallow all {dir}\ndeny rw,connect **/*.never-there\n"

COMMON = r"""
import ctypes, errno, os, stat, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def say(what, f, *a, **k):
    try:
        r = f(*a, **k)
        if isinstance(r, int) and f is os.open: os.close(r); r = None
    except OSError as e:
        r = errno.errorcode[e.errno]
    print(what + ":", r if r is not None else "done")
def text(path):
    with open(path) as f: return f.read().strip()
def put(path, content="x", mode=0o666):
    fd = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, mode); os.write(fd, content.encode()); os.close(fd)
"""

# Each is run in the laid out directory; "" is the gap, "ok/" a directory granted whole.
PROGRAMS = {
    "creating": r"""
for where in ("", "ok/", "setgid/"):
    for mask in (0o022, 0o077, 0o277, 0o000, 0o777):
        os.umask(mask)
        n = where + "m%03o." % mask
        say(n + "file", put, n + "file")
        say(n + "exec", put, n + "exec", "x", 0o4777)
        say(n + "sgid", put, n + "sgid", "x", 0o2775)
        say(n + "dir", os.mkdir, n + "dir", 0o2777)
        say(n + "fifo", os.mkfifo, n + "fifo", 0o666)
        say(n + "link", os.symlink, "nowhere", n + "link")
        say(n + "socket", lambda p: __import__("socket").socket(1).bind(p), n + "socket")
        say(n + "device", os.mknod, n + "device", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        say(n + "tmpfile", os.open, where or ".", os.O_TMPFILE | os.O_RDWR, 0o666)
        say(n + "again", put, n + "file")
""",
    "masks_of_threads": r"""
def one(mask, name):
    libc.unshare(0x200)
    os.umask(mask)
    gate.wait()
    for i in range(20):
        for where in ("", "ok/"): put(where + name + str(i))
gate = threading.Barrier(3)
threads = [threading.Thread(target=one, args=a) for a in ((0o077, "a"), (0o002, "b"), (0o227, "c"))]
[t.start() for t in threads]; [t.join() for t in threads]
""",
    "others_files": r"""
for path in ("root600", "ok/root600", "root644", "rootdir/f", "ok/rootdir/f", "rootdir", "searchonly/f", "searchonly",
             "noexec/f", "noexec", "other600", "shared640", "ok/shared640", "loop/f"):
    say("read " + path, text, path) if not os.path.isdir(path) else say("list " + path, os.listdir, path)
    say("write " + path, os.open, path, os.O_WRONLY)
    say("truncate " + path, os.truncate, path, 0)
    say("trunc-open " + path, os.open, path, os.O_RDONLY | os.O_TRUNC)
    say("append " + path, os.open, path, os.O_WRONLY | os.O_APPEND)
    say("create over " + path, os.open, path, os.O_WRONLY | os.O_CREAT, 0o666)
    say("exclusively " + path, os.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    say("chmod " + path, os.chmod, path, 0o666)
    say("utime " + path, os.utime, path, (1, 1))
    say("touch " + path, os.utime, path)
    say("xattr " + path, os.setxattr, path, "user.x", b"1")
    say("trusted " + path, os.setxattr, path, "trusted.x", b"1")
    say("noatime " + path, os.open, path, os.O_RDONLY | os.O_NOATIME)
    say("access " + path, os.access, path, os.R_OK)
    say("access by effective " + path, os.access, path, os.R_OK, effective_ids=True)
    say("path " + path, os.open, path, os.O_PATH)
    say("execute " + path, os.access, path, os.X_OK)
""",
    "owners": r"""
for where in ("", "ok/"):
    own, root = where + "own", where + "root644"
    put(own)
    for who in (0, %(others)d, os.getuid()):
        say("chown %%s to %%s" %% (own, who), os.chown, own, who, -1)
        say("chown %%s to %%s" %% (root, who), os.chown, root, who, -1)
        say("lchown link to %%s" %% who, os.lchown, "rootlink", who, -1)
    for group in (0, %(shared)d, os.getgid()):
        say("chgrp %%s to %%s" %% (own, group), os.chown, own, -1, group)
        say("chgrp %%s to %%s" %% (root, group), os.chown, root, -1, group)
    fd = os.open(own, os.O_RDONLY)
    say("fchown", os.fchown, fd, 0, 0)
    say("fchmod", os.fchmod, fd, 0o4755)
    say("setgid of a strange group", os.chmod, own, 0o2755)
    fd = os.open(root, os.O_RDONLY)
    say("fchmod of root's", os.fchmod, fd, 0o666)
    say("fchown of root's", os.fchown, fd, os.getuid(), -1)
    say("futimens of root's", os.utime, fd, (1, 1))
    say("through proc", os.chmod, "/proc/self/fd/%%d" %% fd, 0o666)
    say("reopen for writing", os.open, "/proc/self/fd/%%d" %% fd, os.O_RDWR)
""",
    "names": r"""
for where in ("sticky/", "stickyown/", "rootdir755/", "ok/rootdir755/"):
    say("create in " + where, put, where + "new")
    say("mkdir in " + where, os.mkdir, where + "newdir")
    say("symlink in " + where, os.symlink, "x", where + "newlink")
    say("hard link in " + where, os.link, "mine", where + "hard")
    say("move into " + where, os.rename, "mine2", where + "moved")
    for name in ("of-root", "of-other", "of-user"):
        say("write " + where + name, os.open, where + name, os.O_WRONLY)
        say("create over " + where + name, os.open, where + name, os.O_WRONLY | os.O_CREAT, 0o666)
        say("rename " + where + name, os.rename, where + name, where + "renamed")
        say("back", os.rename, where + "renamed", where + name)
        say("replace " + where + name, os.rename, "mine3", where + name)
        say("unlink " + where + name, os.unlink, where + name)
    for name in ("link-of-root", "link-of-other", "link-of-user"):
        say("follow " + where + name, text, where + name)
        say("stat " + where + name, lambda p: os.stat(p).st_size, where + name)
        say("write through " + where + name, os.open, where + name, os.O_WRONLY)
        say("create through " + where + name, os.open, where + name, os.O_WRONLY | os.O_CREAT, 0o666)
        say("remove " + where + name, os.unlink, where + name)
    say("rmdir " + where, os.rmdir, where + "sub")
say("hard link to root's", os.link, "root644", "got")
say("hard link to another's", os.link, "other600", "got2")
""",
}

# Calls that wait, and a signal meanwhile. Who waits in vain is let go after two seconds.
WAITING = r"""
import signal, socket
alarms = []
signal.signal(signal.SIGALRM, lambda *_: alarms.append(1))
def later(seconds, f):
    pid = os.fork()
    if not pid:
        time.sleep(seconds); f(); os._exit(0)
    return pid
def waits(what, restarts, seconds, call, partner):
    alarms.clear()
    signal.siginterrupt(signal.SIGALRM, not restarts)
    pid = later(seconds, partner)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    r = call()
    say(what, lambda: "done" if r >= 0 else errno.errorcode[ctypes.get_errno()])
    os.kill(pid, 9); os.waitpid(pid, 0)
    print("  handled", len(alarms))
def opens(): return libc.open(b"fifo", os.O_RDONLY)
def joins(): os.open("fifo", os.O_WRONLY); time.sleep(1)
os.mkfifo("fifo")
waits("open", False, 2, opens, joins)
waits("open with SA_RESTART", True, 0.5, opens, joins)
server = socket.socket(1); server.bind("waiting"); server.listen(0)
first, second = socket.socket(1), socket.socket(1)
first.connect("waiting")
name = b"\1\0waiting"
waits("connect", False, 2, lambda: libc.connect(second.fileno(), name, len(name)), lambda: server.accept())
pid = later(0, opens)
time.sleep(0.2)
os.kill(pid, signal.SIGTERM)
for i in range(200):
    time.sleep(0.01)
    gone, status = os.waitpid(pid, os.WNOHANG)
    if gone: break
else:
    os.kill(pid, 9)
say("terminated", lambda: os.WTERMSIG(status) if gone else "not")
"""

# O_CREAT on what another one put into a directory that others may write.
STICKY = r"""
for where in ("sticky", "stickygroup", "stickyown"):
    for name in ("of-root", "of-other", "of-user", "fifo-of-root", "fifo-of-other", "fifo-of-user", "null-of-root"):
        for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT):
            say("%s/%s %o" % (where, name, flags), os.open, where + "/" + name, flags | os.O_NONBLOCK, 0o666)
"""

# As root, that changes who it is as it goes.
SWITCHING = r"""
uid = %(uid)d
for where in ("", "ok/"):
    say("root", text, where + "root600")
    os.setegid(uid); os.seteuid(uid)
    say("as user", text, where + "root600"); say("own", put, where + "s1")
    say("as real user", os.access, where + "root600", os.R_OK)
    say("as effective user", os.access, where + "root600", os.R_OK, effective_ids=True)
    os.seteuid(0); os.setegid(0)
    say("root again", text, where + "root600"); put(where + "s2")
    def other():
        libc.syscall(123, uid); libc.syscall(122, uid)  # setfsgid, setfsuid: of this thread alone
        say("thread", text, where + "root600"); say("thread", put, where + "s3")
        libc.syscall(122, 0); libc.syscall(123, 0)
    t = threading.Thread(target=other); t.start(); t.join()
    say("main", text, where + "root600"); put(where + "s4")
pid = os.fork()
if not pid:
    os.setgroups([]); os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid)
    for where in ("", "ok/"):
        say("for good", text, where + "root600"); put(where + "s5"); say("chown", os.chown, where + "s5", 0, 0)
    sys.stdout.flush(); os._exit(0)
os.waitpid(pid, 0)
put("s6")
"""

# Root in name, without the capabilities to pass by modes.
POWERLESS = r"""
for path in ("other600", "user600", "ok/user600", "userdir/f", "root600"):
    say("read " + path, text, path); say("write " + path, os.open, path, os.O_WRONLY)
    say("chown " + path, os.chown, path, 0, 0); say("chmod " + path, os.chmod, path, 0o666)
    say("trusted " + path, os.setxattr, path, "trusted.x", b"1")
say("device", os.mknod, "rootdir/dev", stat.S_IFCHR | 0o666, os.makedev(1, 3))
say("device", os.mknod, "ok/rootdir/dev", stat.S_IFCHR | 0o666, os.makedev(1, 3))
say("create", put, "userdir/new")
"""


class Users(SluiceCase):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skip("only root can start commands of other users: run the tests as root, too")
        try:
            self.user = pwd.getpwnam(USER)
        except KeyError:
            self.skip("there is no user %s: useradd -m %s" % (USER, USER))
        if not shutil.which("setpriv"):
            self.skip("setpriv is not installed (util-linux)")
        os.chmod(self.root, 0o755)
        self.fill = {"others": OTHERS, "shared": SHARED, "uid": self.user.pw_uid}

    def make(self, name, owner=0, group=0, mode=0o644, content="content\n"):
        path = self.put(name, content)
        os.chown(path, owner, group)
        os.chmod(path, mode)

    def make_dir(self, name, owner=0, group=0, mode=0o755):
        path = os.path.join(self.dir, name)
        os.makedirs(path, exist_ok=True)
        os.chown(path, owner, group)
        os.chmod(path, mode)

    def make_node(self, name, owner, kind):
        path = os.path.join(self.dir, name)
        os.mknod(path, kind | 0o666, os.makedev(1, 3) if kind == stat.S_IFCHR else 0)
        os.chown(path, owner, owner)
        os.chmod(path, 0o666)

    def link(self, to, name, owner):
        path = os.path.join(self.dir, name)
        os.symlink(to, path)
        os.lchown(path, owner, owner)

    def lay_out(self):
        uid, gid = self.user.pw_uid, self.user.pw_gid
        shutil.rmtree(self.dir)
        for name in ("", "ok", "no", "userdir"):
            self.make_dir(name, uid, gid)
        self.make_dir("setgid", uid, SHARED, 0o2775)
        for where in ("", "ok/"):
            self.make(where + "root600", mode=0o600)
            self.make(where + "root644")
            self.make(where + "user600", uid, gid, 0o600)
            self.make(where + "shared640", 0, SHARED, 0o640)
            self.make(where + "rootdir/f")
            self.make_dir(where + "rootdir", mode=0o700)
        self.make("other600", OTHERS, OTHERS, 0o600)
        self.make("searchonly/f")
        self.make_dir("searchonly", mode=0o711)
        self.make("noexec/f")
        self.make_dir("noexec", mode=0o744)
        self.make("userdir/f", uid, gid, 0o600)
        self.make_dir("userdir", uid, gid, 0o700)
        os.symlink("loop", os.path.join(self.dir, "loop"))
        self.link("root644", "rootlink", 0)
        for name in ("mine", "mine2", "mine3"):
            self.make(name, uid, gid)
        for where, owner, group, mode in (("sticky", 0, 0, 0o1777), ("stickyown", uid, uid, 0o1777),
                                          ("stickygroup", 0, SHARED, 0o1775), ("rootdir755", 0, 0, 0o755),
                                          ("ok/rootdir755", 0, 0, 0o755)):
            for name, whose in (("root", 0), ("other", OTHERS), ("user", uid)):
                self.make("%s/of-%s" % (where, name), whose, whose, 0o666)
                self.make_node("%s/fifo-of-%s" % (where, name), whose, stat.S_IFIFO)
                self.link(os.path.join(self.dir, "mine"), "%s/link-of-%s" % (where, name), whose)
            with contextlib.suppress(PermissionError):  # root of a user namespace can't
                self.make_node(where + "/null-of-root", 0, stat.S_IFCHR)
            self.make_dir(where + "/sub")
            self.make_dir(where, owner, group, mode)

    def left(self):
        """Names, owners, groups, modes, sizes, attributes; not times."""
        seen = {}
        for where, dirs, files in os.walk(self.dir):
            for name in dirs + files + ["."]:
                path = os.path.join(where, name)
                st = os.lstat(path)
                attrs = [] if os.path.islink(path) else os.listxattr(path, follow_symlinks=False)
                seen[os.path.relpath(path, self.dir)] = "%06o %d:%d %d bytes %d links %s" % (
                    st.st_mode, st.st_uid, st.st_gid, st.st_size if not os.path.isdir(path) else 0,
                    st.st_nlink, attrs)
        return ["%s: %s" % item for item in sorted(seen.items())]

    def both(self, argv, policy):
        self.lay_out()
        native = self.native(*argv)
        self.assert_status(native, 0)
        want = native.out.splitlines() + self.left()
        self.lay_out()
        result = self.sluice(*argv, policy=policy)
        self.assert_status(result, 0)
        got = result.out.splitlines() + self.left()
        differing = ["native: %s\nsluice: %s" % (w, g) for w, g in zip(want, got) if w != g]
        if differing or len(want) != len(got):
            self.fail("%d of %d lines differ (%d)\n%s\n%s" % (
                len(differing), len(want), len(got), "\n".join(differing[:40]), result.err[:1500]))
        return native

    def as_user(self, program, *how):
        how = list(how) or ["--init-groups"]
        return (["setpriv", "--reuid", USER, "--regid", USER] + how +
                ["/usr/bin/python3", "-c", COMMON + (program % self.fill if "%(" in program else program)])

    def same(self, name, policy):
        native = self.both(self.as_user(PROGRAMS[name]), policy)
        if name == "others_files":
            self.assertIn("read root600: EACCES", native.out)
            self.assertIn("read shared640: EACCES", native.out)

    @case
    def supplementary_groups_are_the_targets(self):
        for policy in (HOLE, GLOB):
            native = self.both(self.as_user(PROGRAMS["others_files"], "--groups", str(SHARED)), policy)
            self.assertIn("read shared640: content", native.out)
            self.both(self.as_user(PROGRAMS["owners"], "--groups", str(SHARED)), policy)

    def protect(self, regular, fifos):
        """fs.protected_*, put back at the end."""
        for what, level in (("regular", regular), ("fifos", fifos)):
            path = "/proc/sys/fs/protected_" + what
            try:
                with open(path, "r+") as f:
                    was = f.read()
                    f.seek(0)
                    f.write(str(level))
            except OSError as e:
                self.skip("%s can't be set: %s" % (path, e))
            self.addCleanup(lambda path=path, was=was: pathlib.Path(path).write_text(was))

    @case
    def sticky_directories_protect_what_the_system_says(self):
        seen = set()
        for regular, fifos in ((0, 0), (2, 1), (1, 2), (0, 1)):
            self.protect(regular, fifos)
            for policy in (HOLE, GLOB):
                native = self.both(self.as_user(STICKY, "--groups", str(SHARED)), policy)
            seen.add(native.out)
        self.assertEqual(4, len(seen), "the levels made no difference")

    @case
    def identities_are_those_of_the_moment_and_the_thread(self):
        argv = ["/usr/bin/python3", "-c", COMMON + SWITCHING % self.fill]
        for policy in (HOLE, GLOB):
            native = self.both(argv, policy)
            self.assertIn("as user: EACCES", native.out)
            self.assertIn("thread: EACCES", native.out)

    @case
    def signals_reach_who_waits(self):
        for policy in (HOLE, GLOB):
            native = self.both(self.as_user(WAITING), policy)
            self.assertEqual("open: EINTR\n  handled 1\nopen with SA_RESTART: done\n  handled 1\n"
                             "connect: EINTR\n  handled 1\nterminated: 15\n", native.out)

    @case
    def root_without_capabilities_is_not_helped(self):
        argv = ["setpriv", "--bounding-set", "-all", "--inh-caps", "-all", "/usr/bin/python3", "-c",
                COMMON + POWERLESS]
        for policy in (HOLE, GLOB):
            native = self.both(argv, policy)
            self.assertIn("read user600: EACCES", native.out)

    @case
    def control_root_passes_by_all_modes(self):
        """What the supervisor could do is more than what the tests above see."""
        self.lay_out()
        r = self.native("/usr/bin/python3", "-c", COMMON + PROGRAMS["others_files"])
        for line in ("read root600: content", "read rootdir/f: content", "chmod other600: done"):
            self.assertIn(line, r.out)

    @case
    def a_refusal_of_the_policy_stays_one(self):
        self.lay_out()
        self.make("no/open", mode=0o666)
        r = self.sluice(*self.as_user("say('read', text, 'no/open'); say('list', os.listdir, 'no')"), policy=HOLE)
        self.assertEqual("read: EACCES\nlist: EACCES\n", r.out, r)


add_cases(Users, PROGRAMS, lambda self, n: self.same(n, HOLE), "same_for_another_user_beside_a_hole_")
add_cases(Users, PROGRAMS, lambda self, n: self.same(n, GLOB), "same_for_another_user_beneath_a_glob_")
