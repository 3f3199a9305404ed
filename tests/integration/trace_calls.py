# SPDX-License-Identifier: Apache-2.0
"""A command of many kinds of calls, for test_trace: each that takes a name, with and without success."""

import contextlib
import ctypes
import os
import socket
import struct
import sys
import threading

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, O_TMPFILE = -100, 0o20200000


def quietly(call, *args, **how):
    with contextlib.suppress(OSError):
        return call(*args, **how)


def opened(*args, **how):
    fd = quietly(os.open, *args, **how)
    if fd is not None:
        os.close(fd)


def raw(number, *args):
    return LIBC.syscall(number, *[a.encode() if isinstance(a, str) else ctypes.c_long(a) if isinstance(a, int) else a
                                  for a in args])


def opens():
    opened("there", os.O_RDONLY)
    opened("there", os.O_WRONLY)
    opened("there", os.O_RDWR)
    opened("there", os.O_RDONLY | os.O_TRUNC)
    opened("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    opened("new", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    opened("new2", os.O_RDWR | os.O_CREAT, 0o600)
    opened("new2", os.O_RDONLY | os.O_CREAT, 0o600)
    opened(".", O_TMPFILE | os.O_RDWR, 0o600)
    opened("there", os.O_PATH)
    opened("nowhere", os.O_PATH)
    opened("dir", os.O_RDONLY | os.O_DIRECTORY)
    opened("there", os.O_RDONLY | os.O_DIRECTORY)
    opened("dir", os.O_WRONLY)
    opened("missing", os.O_RDONLY)
    opened("missing", os.O_RDWR)
    opened("missing", os.O_WRONLY)
    opened("missing/deeper/still", os.O_RDONLY)
    opened("missing/../there", os.O_RDONLY)
    opened("dir/../dirlink/../dir/" + "gone/" * 30 + "end", os.O_RDONLY)
    opened("d/" * 2000, os.O_RDONLY)
    opened("dirlink/" + "m/" * 9 + "x", os.O_RDONLY)
    opened("there/no-directory", os.O_RDONLY)
    opened("dir/../there", os.O_RDONLY)
    opened("link", os.O_RDONLY)
    opened("link", os.O_RDONLY | os.O_NOFOLLOW)
    opened("dangling", os.O_RDONLY)
    opened("dangling", os.O_WRONLY | os.O_CREAT, 0o600)
    opened("loop", os.O_RDONLY)
    opened("dirlink/inner", os.O_RDONLY)
    opened("//tmp//", os.O_RDONLY)
    opened("/proc/self/status", os.O_RDONLY)
    opened("/dev/null", os.O_RDWR)
    opened("x" * 300, os.O_RDONLY)
    fd = os.open("dir", os.O_PATH)
    opened("inner", os.O_RDONLY, dir_fd=fd)
    opened("../there", os.O_RDONLY, dir_fd=fd)
    opened("nothing", os.O_RDONLY, dir_fd=fd)
    how = struct.pack("QQQ", os.O_RDONLY, 0, 8)  # RESOLVE_BENEATH
    raw(437, fd, "inner", how, len(how))
    raw(437, fd, "not-there", how, len(how))
    os.close(fd)
    raw(85, "creat", 0o600)


def looks():
    for name in ("there", "nowhere", "link", "dangling", "dir", "there/x", "/proc/self/exe"):
        quietly(os.stat, name)
        quietly(os.lstat, name)
        quietly(os.access, name, os.R_OK)
        quietly(os.readlink, name)
        quietly(os.statvfs, name)
        quietly(os.getxattr, name, "user.x")
        quietly(os.listxattr, name)
        quietly(os.listxattr, name, follow_symlinks=False)
        raw(332, AT_FDCWD, name, 0x100, 0x7ff, ctypes.create_string_buffer(256))
        raw(439, AT_FDCWD, name, 4, 0x200)
        raw(4, name, ctypes.create_string_buffer(256))
        raw(21, name, 4)
    quietly(os.listdir, "dir")
    quietly(os.listdir, "no-dir")
    quietly(os.chdir, "dir")
    quietly(os.stat, "inner")
    quietly(os.chdir, "no-dir")
    quietly(os.chdir, "..")
    fd = LIBC.inotify_init1(0)
    LIBC.inotify_add_watch(fd, b"dir", 0x100)
    LIBC.inotify_add_watch(fd, b"no-watch", 0x100)
    os.close(fd)


def names():
    quietly(os.mkdir, "made")
    quietly(os.mkdir, "made")
    quietly(os.mkdir, "no-parent/made")
    quietly(os.mkfifo, "fifo")
    quietly(os.symlink, "there", "newlink")
    quietly(os.symlink, "there", "newlink")
    quietly(os.link, "there", "hard")
    quietly(os.link, "nowhere", "hard2")
    quietly(os.rename, "hard", "hard3")
    quietly(os.rename, "nowhere", "hard4")
    quietly(os.rename, "hard3", "no-parent/x")
    quietly(os.replace, "new", "new2")
    raw(316, AT_FDCWD, "new2", AT_FDCWD, "hard3", 2)  # RENAME_EXCHANGE
    raw(316, AT_FDCWD, "new2", AT_FDCWD, "hard3", 1)  # RENAME_NOREPLACE
    quietly(os.unlink, "hard3")
    quietly(os.unlink, "hard3")
    quietly(os.rmdir, "made")
    quietly(os.rmdir, "dir")
    quietly(os.rmdir, "there")
    quietly(os.unlink, "dir")
    quietly(os.mkdir, "tree")
    quietly(os.mkdir, "tree/sub")
    opened("tree/sub/file", os.O_WRONLY | os.O_CREAT, 0o600)
    quietly(os.rename, "tree", "moved")
    quietly(os.truncate, "there", 3)
    quietly(os.truncate, "nowhere", 3)


def metadata():
    for name in ("there", "nowhere", "link"):
        quietly(os.chmod, name, 0o640)
        quietly(os.chown, name, -1, -1)
        quietly(os.chown, name, -1, -1, follow_symlinks=False)
        quietly(os.utime, name, (1, 2))
        quietly(os.utime, name, (1, 2), follow_symlinks=False)
        quietly(os.setxattr, name, "user.x", b"y")
        quietly(os.removexattr, name, "user.x")


def sockets():
    one, two = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    quietly(one.bind, "socket")
    quietly(two.connect, "socket")
    one.listen(1)
    quietly(two.connect, "socket")
    quietly(two.connect, "no-socket")
    one.close()
    two.close()
    three = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    quietly(three.sendto, b"x", ("127.0.0.1", 9))
    quietly(three.connect, ("127.0.0.1", 9))
    three.close()


def programs():
    for argv in (["/bin/true"], ["./script"], ["./no-program"], ["./there"]):
        pid = os.fork()
        if pid == 0:
            quietly(os.execv, argv[0], argv)
            os._exit(0)
        os.waitpid(pid, 0)
    pid = os.fork()
    if pid == 0:
        os.chdir("dir")
        opened("inner", os.O_RDONLY)
        os._exit(0)
    os.waitpid(pid, 0)
    t = threading.Thread(target=opened, args=("by-thread", os.O_WRONLY | os.O_CREAT, 0o600))
    t.start()
    t.join()


def prepare(top):
    os.mkdir(os.path.join(top, "dir"))
    for name, text in (("there", "some text\n"), ("dir/inner", "inner\n"), ("script", "#!/bin/sh\nexit 0\n")):
        with open(os.path.join(top, name), "w", encoding="utf-8") as f:
            f.write(text)
    os.chmod(os.path.join(top, "script"), 0o755)
    for link, to in (("link", "there"), ("dangling", "to-nothing"), ("loop", "loop"), ("dirlink", "dir")):
        os.symlink(to, os.path.join(top, link))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        prepare(sys.argv[1])
    else:
        for part in (opens, looks, names, metadata, sockets, programs):
            part()
