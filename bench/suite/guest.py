# SPDX-License-Identifier: Apache-2.0
"""A small system that boots straight into the suite: busybox, Python, sluice as `cmake --install` lays it, and the
libraries that they need, as an initramfs. Made without privilege: the archive says who owns what.
"""

import os
import re
import shutil
import stat
import subprocess

from suite.ways import Absent

# Of Python's library what nobody needs there.
NOT_NEEDED = re.compile(r"^(test|idlelib|tkinter|turtledemo|lib2to3|ensurepip|distutils|pydoc_data|venv|sqlite3|"
                        r"config-.*|asyncio|xmlrpc|wsgiref|curses|dbm)$")

INIT = r"""#!/bin/busybox sh
# Everything happens here; the host reads the console, and the result from the second serial port.
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin HOME=/root TMPDIR=/tmp LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
mkdir -p /proc /sys /dev /tmp /root /run
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmp /tmp
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t securityfs security /sys/kernel/security 2>/dev/null
ln -s /proc/self/fd /dev/fd 2>/dev/null
ip link set lo up 2>/dev/null
echo "@kernel $(uname -r)"
cd /root
. /work.sh 2>&1 | while IFS= read -r line; do echo "@ $line"; done
echo "@end"
sync
poweroff -f
"""


def libraries(path):
    """What PATH is linked with, by the loader's word; nothing for a static program."""
    p = subprocess.run(["ldd", path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                       text=True, check=False)
    return re.findall(r"(/\S+) \(0x", p.stdout)


def is_elf(path):
    with open(path, "rb") as f:
        return f.read(4) == b"\x7fELF"


MERGED = ("bin", "sbin", "lib", "lib64")


def merged(at):
    """/lib/x is /usr/lib/x, as in Debian: policies and tests count on it."""
    return "/usr" + at if at.split("/")[1] in MERGED else at


class Tree:
    """Files by their place in the guest."""

    def __init__(self):
        self.entries = {"/" + name: (stat.S_IFLNK | 0o777, b"usr/" + name.encode()) for name in MERGED}
        for name in MERGED:
            self.directory("/usr/" + name)

    def directory(self, at):
        if at and at != "/":
            self.directory(os.path.dirname(at))
            self.entries.setdefault(at, (stat.S_IFDIR | 0o755, b""))

    def put(self, at, data, mode=0o644):
        at = merged(at)
        self.directory(os.path.dirname(at))
        self.entries[at] = (stat.S_IFREG | mode, data)

    def link(self, at, target):
        at = merged(at)
        self.directory(os.path.dirname(at))
        self.entries[at] = (stat.S_IFLNK | 0o777, os.fsencode(target))

    def copy(self, path, at=None):
        """A file; with what it is linked with if it is a program."""
        at = merged(at or path)
        if at in self.entries:
            return
        with open(path, "rb") as f:
            self.put(at, f.read(), 0o755 if os.access(path, os.X_OK) else 0o644)
        if is_elf(path):
            for library in libraries(path):
                self.copy(library)

    def copy_tree(self, path, at, leave_out=None):
        for where, dirs, files in os.walk(path):
            if leave_out:
                dirs[:] = [d for d in dirs if not leave_out.match(d)]
            for name in files + dirs:
                full = os.path.join(where, name)
                there = os.path.normpath(os.path.join(at, os.path.relpath(full, path)))
                if os.path.islink(full) and not os.path.isabs(os.readlink(full)):
                    self.link(there, os.readlink(full))
                elif os.path.isfile(full):
                    self.copy(full, there)
            self.directory(os.path.join(at, os.path.relpath(where, path)).rstrip("/."))

    def archive(self, out):
        """Write the newc cpio that kernels unpack."""
        entries = dict(self.entries)
        entries["/dev/console"] = (stat.S_IFCHR | 0o600, b"")
        for number, (at, (mode, data)) in enumerate(sorted(entries.items()), 1):
            major, minor = (5, 1) if stat.S_ISCHR(mode) else (0, 0)
            self._entry(out, number, at.lstrip("/"), mode, data, major, minor)
        self._entry(out, 0, "TRAILER!!!", 0, b"", 0, 0)

    @staticmethod
    def _entry(out, number, name, mode, data, major, minor):
        raw = os.fsencode(name) + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, major, minor, len(raw), 0)
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + raw
        out.write(head + b"\0" * (-len(head) % 4))
        out.write(data + b"\0" * (-len(data) % 4))


def busybox():
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.access(path, os.X_OK) and not libraries(path):
            return path
    raise Absent("a static busybox is missing: apt-get install busybox-static")


def python(tree):
    """The system's Python: what a version manager built may not run from another place."""
    exe = os.path.realpath("/usr/bin/python3")
    if not os.path.exists(exe):
        raise Absent("there is no /usr/bin/python3")
    name = os.path.basename(exe)
    tree.copy(exe, "/usr/bin/" + name)
    tree.link("/usr/bin/python3", name)
    library = "/usr/lib/" + name
    tree.copy_tree(library, library, NOT_NEEDED)


def make(build, scratch, script, tests=None):
    """The tree for SCRIPT, a shell script that is the guest's work. TESTS: the source tree whose tests go along."""
    if not shutil.which("ldd") or not shutil.which("cmake"):
        raise Absent("ldd or cmake is missing: scripts/setup installs them")
    tree = Tree()
    tree.copy(busybox(), "/bin/busybox")
    for name in ("sh", "env"):
        tree.link("/bin/" + name, "busybox")
    tree.copy("/usr/bin/true")  # a program with a loader, as elsewhere: busybox is static
    tree.put("/init", INIT.encode(), 0o755)
    tree.put("/work.sh", script.encode(), 0o755)
    tree.put("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nsluicetest:x:1000:1000::/home/sluicetest:/bin/sh\n")
    tree.put("/etc/group", b"root:x:0:\nsluicetest:x:1000:\n")
    tree.put("/etc/hosts", b"127.0.0.1 localhost\n")
    python(tree)
    prefix = os.path.join(scratch, "install")
    p = subprocess.run(["cmake", "--install", build, "--prefix", prefix, "--strip"], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if p.returncode != 0:
        raise Absent("cmake --install: " + p.stdout[-400:])
    for folder in ("bin", "lib", "share/sluice"):
        tree.copy_tree(os.path.join(prefix, folder), "/usr/" + folder)
    if tests:
        tree.copy(os.path.join(build, "sluice"), "/t/build/sluice")
        tree.copy_tree(os.path.join(build, "tests/kernel"), "/t/build/tests/kernel", re.compile("CMakeFiles"))
        tree.copy_tree(os.path.join(build, "tests/integration"), "/t/build/tests/integration",
                       re.compile("CMakeFiles"))
        tree.copy_tree(os.path.join(tests, "tests/integration"), "/t/tests/integration",
                       re.compile("__pycache__|corpus"))
        tree.copy_tree(os.path.join(tests, "profiles"), "/t/share/sluice/profiles")
    return tree
