# SPDX-License-Identifier: Apache-2.0
"""A file system in memory in which upper and lower case are one name, for kernels that have none: mounts itself
(root only) at the place that is given, and says so. It ends when it is unmounted. With "+F" its directories say of
themselves what those of ext4 would. The kernel's side is linux/fuse.h."""

import ctypes
import errno
import os
import stat
import struct
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
FS_IOC_GETFLAGS, FS_CASEFOLD_FL, IOCTL_DIR = 0x80086601, 0x40000000, 1 << 11
ROOT = 1


class Node:
    def __init__(self, mode):
        self.mode, self.data, self.children = mode, b"", {}


class Refused(Exception):
    pass


class FileSystem:
    def __init__(self, flagged):
        self.flagged = flagged
        self.nodes = {ROOT: Node(stat.S_IFDIR | 0o777)}

    def find(self, parent, name):
        for entry, node in self.nodes[parent].children.items():
            if entry.lower() == name.lower():
                return entry, node
        raise Refused(errno.ENOENT)

    def attributes(self, ident):
        n = self.nodes[ident]
        return struct.pack("=6Q10I", ident, len(n.data), 1, 0, 0, 0, 0, 0, 0, n.mode, 1, 0, 0, 0, 4096, 0)

    def entry(self, ident):
        return struct.pack("=4Q2I", ident, 0, 0, 0, 0, 0) + self.attributes(ident)

    def make(self, parent, name, mode):
        ident = max(self.nodes) + 1
        self.nodes[ident] = Node(mode)
        self.nodes[parent].children[name] = ident
        return ident

    def remove(self, parent, name):
        entry, ident = self.find(parent, name)
        if self.nodes[ident].children:
            raise Refused(errno.ENOTEMPTY)
        del self.nodes[parent].children[entry]

    # By the numbers of the requests: the node, the bytes behind the header. ----------------------

    def lookup(self, ident, body):
        return self.entry(self.find(ident, body[:-1])[1])

    def getattr(self, ident, body):
        return struct.pack("=Q2I", 0, 0, 0) + self.attributes(ident)

    def setattr(self, ident, body):
        valid, _, _, size = struct.unpack_from("=IIQQ", body)
        mode = struct.unpack_from("=I", body, 68)[0]
        n = self.nodes[ident]
        if valid & 1:
            n.mode = stat.S_IFMT(n.mode) | stat.S_IMODE(mode)
        if valid & 8:
            n.data = n.data[:size].ljust(size, b"\0")
        return self.getattr(ident, body)

    def mkdir(self, ident, body):
        return self.entry(self.make(ident, body[8:-1], stat.S_IFDIR | struct.unpack_from("=I", body)[0]))

    def create(self, ident, body):
        new = self.make(ident, body[16:-1], stat.S_IFREG | stat.S_IMODE(struct.unpack_from("=II", body)[1]))
        return self.entry(new) + self.open(new, body)

    def unlink(self, ident, body):
        self.remove(ident, body[:-1])
        return b""

    def rename(self, ident, body):
        to, (old, new) = struct.unpack_from("=Q", body)[0], body[-len(body) + 8:-1].split(b"\0")
        moved = self.nodes[ident].children.pop(self.find(ident, old)[0])
        try:
            self.remove(to, new)
        except Refused:
            pass
        self.nodes[to].children[new] = moved
        return b""

    def open(self, ident, body):
        return struct.pack("=QII", 0, 0, 0)

    def read(self, ident, body):
        _, offset, size = struct.unpack_from("=QQI", body)
        return self.nodes[ident].data[offset:offset + size]

    def write(self, ident, body):
        _, offset, size = struct.unpack_from("=QQI", body)
        n = self.nodes[ident]
        n.data = n.data[:offset].ljust(offset, b"\0") + body[40:40 + size] + n.data[offset + size:]
        return struct.pack("=II", size, 0)

    def readdir(self, ident, body):
        _, offset, size = struct.unpack_from("=QQI", body)
        out = b""
        for i, (name, child) in enumerate(list(self.nodes[ident].children.items())[offset:], offset + 1):
            entry = struct.pack("=QQII", child, i, len(name), self.nodes[child].mode >> 12) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(out) + len(entry) > size:
                break
            out += entry
        return out

    def nothing(self, ident, body):
        return b""

    def statfs(self, ident, body):
        return struct.pack("=5Q4I24x", 1000, 900, 900, 1000, 900, 4096, 255, 4096, 0)

    def ioctl(self, ident, body):
        if not self.flagged or struct.unpack_from("=QII", body)[2] != FS_IOC_GETFLAGS:
            raise Refused(errno.ENOTTY)
        return struct.pack("=iIIII", 0, 0, 0, 0, FS_CASEFOLD_FL)

    def init(self, ident, body):
        return struct.pack("=4I2H2I2HI28x", 7, 31, 65536, IOCTL_DIR, 10, 5, 65536, 1, 0, 0, 0)

    ANSWERS = {1: lookup, 3: getattr, 4: setattr, 9: mkdir, 10: unlink, 11: unlink, 12: rename, 14: open, 15: read,
               16: write, 17: statfs, 18: nothing, 20: nothing, 25: nothing, 26: init, 27: open, 28: readdir,
               29: nothing, 35: create, 39: ioctl}

    def serve(self, fd):
        while True:
            try:
                request = os.read(fd, 1 << 20)
            except OSError as e:
                if e.errno == errno.ENODEV:
                    return
                if e.errno in (errno.ENOENT, errno.EINTR):
                    continue
                raise
            _, number, unique, ident = struct.unpack_from("=IIQQ", request)
            if number in (2, 36, 42):  # FORGET, INTERRUPT, BATCH_FORGET have no answer
                continue
            error, answer = 0, b""
            try:
                answer = self.ANSWERS[number](self, ident, request[40:]) if number in self.ANSWERS else None
                error = errno.ENOSYS if answer is None else 0
            except Refused as e:
                error = e.args[0]
            answer = b"" if error else answer
            os.write(fd, struct.pack("=IiQ", 16 + len(answer), -error, unique) + answer)


def main():
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = "fd=%d,rootmode=40777,user_id=0,group_id=0,allow_other,default_permissions" % fd
    if LIBC.mount(b"folding", sys.argv[1].encode(), b"fuse", ctypes.c_ulong(0), options.encode()) != 0:
        sys.exit("mount: " + os.strerror(ctypes.get_errno()))
    print("mounted", flush=True)
    FileSystem("+F" in sys.argv[2:]).serve(fd)


if __name__ == "__main__":
    main()
