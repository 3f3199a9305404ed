#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What strace saw of a run, as (operation, outcome, name), to be compared with a record of `sluice trace`.

	strace -ff -y -qq -s 65535 -o DIR/log COMMAND     and     sluice trace --json -o RECORD COMMAND
	tests/integration/strace_log.py DIR RECORD [CWD]

Names are made canonical as the kernel would, as far as the tree still shows that: directories are resolved, and a
last link where the call follows it. Outcomes are "ok", "missing" (ENOENT, ENOTDIR) and "failed".
"""

import json
import os
import re
import sys

CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+|\?)(?:<(.*?)>)?(?: (E\w+))?")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f", '"': '"', "\\": "\\"}

# call: (operation, place of the name among the strings, follows a last link)
NAMED = {
    "stat": ("stat", True), "lstat": ("stat", False), "newfstatat": ("stat", None), "statx": ("stat", None),
    "access": ("stat", True), "faccessat": ("stat", True), "faccessat2": ("stat", None), "readlink": ("stat", False),
    "readlinkat": ("stat", False), "statfs": ("stat", True), "getxattr": ("stat", True), "lgetxattr": ("stat", False),
    "listxattr": ("stat", True), "llistxattr": ("stat", False), "chdir": ("stat", True),
    "inotify_add_watch": ("stat", True), "name_to_handle_at": ("stat", False),
    "mkdir": ("create", False), "mkdirat": ("create", False), "mknod": ("create", False), "mknodat": ("create", False),
    "unlink": ("delete", False), "unlinkat": ("delete", False), "rmdir": ("delete", False),
    "truncate": ("write", True), "chmod": ("meta", True), "fchmodat": ("meta", True), "fchmodat2": ("meta", None),
    "chown": ("meta", True), "lchown": ("meta", False), "fchownat": ("meta", None), "utime": ("meta", True),
    "utimes": ("meta", True), "futimesat": ("meta", True), "utimensat": ("meta", None), "setxattr": ("meta", True),
    "lsetxattr": ("meta", False), "removexattr": ("meta", True), "lremovexattr": ("meta", False),
    "execve": ("exec", True), "execveat": ("exec", None),
}
TWO = {"rename", "renameat", "renameat2", "link", "linkat"}
OTHERS = {"open", "openat", "openat2", "creat", "symlink", "symlinkat", "connect", "bind", "fchdir",
          "fchmod", "fchown", "fsetxattr", "fremovexattr"}
IGNORED_ERRORS = {"EFAULT", "EBADF", "EINVAL", "ENOSYS", "ERANGE", "ENODATA", "EOPNOTSUPP", "ENOTSUP", "EINTR", "EAGAIN"}


def unescape(text):
    def one(m):
        if m[1] in ESCAPES:
            return ESCAPES[m[1]]
        return os.fsdecode(bytes([int(m[1][1:], 16) if m[1][0] == "x" else int(m[1], 8)]))
    return re.sub(r"\\(x[0-9a-f]{2}|[0-7]{1,3}|.)", one, text)


def canonical(cwd, name, follow):
    """As the kernel walks: at the first missing component the rest is kept, up to a dot."""
    parts = [p for p in name.split("/") if p]
    at = "/" if name.startswith("/") else os.path.realpath(cwd)
    for i, part in enumerate(parts):
        last = i == len(parts) - 1
        path = os.path.join(at, part)
        if part in (".", ".."):
            at = os.path.realpath(path)
        elif last and not follow and not name.endswith("/"):
            at = path
        elif os.path.lexists(path):
            at = os.path.realpath(path)
        else:
            rest = parts[i:]
            dots = [k for k, p in enumerate(rest) if p in (".", "..")]
            return os.path.join(at, *rest[:dots[0] if dots else len(rest)])
    return at


class Log:
    def __init__(self, directory, prefix="log", cwd=None):
        self.files, self.seen, self.calls = {}, {}, 0
        for name in os.listdir(directory):
            if name.startswith(prefix + "."):
                self.files[int(name[len(prefix) + 1:])] = os.path.join(directory, name)
        children = set()
        self.cwd = {}
        first = min(self.files)
        self.walk(first, cwd or os.getcwd(), children)
        # Numbers may have come around: whoever was not reached starts where the first did.
        for pid in sorted(set(self.files) - children - {first}):
            self.walk(pid, cwd or os.getcwd(), children)

    def add(self, op, outcome, name, line):
        if name:
            self.seen.setdefault((op, outcome, name), line)

    def walk(self, pid, cwd, children):
        todo = [(pid, cwd)]
        while todo:
            pid, cwd = todo.pop()
            if pid in children or pid not in self.files:
                continue
            children.add(pid)
            with open(self.files[pid], encoding="utf-8", errors="surrogateescape") as f:
                for line in f:
                    m = CALL.match(line)
                    if not m:
                        continue
                    self.calls += 1
                    cwd = self.call(m, line.rstrip("\n"), cwd, todo)

    def call(self, m, line, cwd, todo):
        name, args, value, fd_path, error = m[1], m[2], m[3], m[4], m[5]
        if name in ("clone", "clone3", "fork", "vfork"):
            if value.isdigit() and int(value) > 0:
                todo.append((int(value), cwd))
            return cwd
        if error == "EINVAL" and name.startswith("readlink"):
            error = None  # no link, but there
        if error in IGNORED_ERRORS or not (name in NAMED or name in TWO or name in OTHERS):
            return cwd
        outcome = "ok" if not error else "missing" if error in ("ENOENT", "ENOTDIR") else "failed"
        strings = [unescape(s) for s in STRING.findall(args)]
        dirs = re.findall(r"(?:AT_FDCWD|\b\d+)<((?:[^<>\\]|\\.)*)>", args)
        base = unescape(dirs[0]) if dirs and re.match(r"(AT_FDCWD|\d+)<", args) else cwd
        if name == "inotify_add_watch":
            base = cwd  # the descriptor is no directory
        nofollow = "NOFOLLOW" in args
        if name in ("open", "openat", "openat2", "creat"):
            self.opened(name, args, strings, base, outcome, fd_path, line)
        elif name in TWO:
            second = unescape(dirs[1]) if len(dirs) > 1 else cwd
            if len(strings) >= 2:
                a, b = canonical(base, strings[0], "AT_SYMLINK_FOLLOW" in args), canonical(second, strings[1], False)
                if name.startswith("rename"):
                    self.add("delete", outcome, a, line)
                self.add("create", outcome, b, line)
        elif name in ("symlink", "symlinkat"):
            if len(strings) >= 2:
                self.add("create", outcome, canonical(base, strings[1], False), line)
        elif name in ("connect", "bind"):
            path = re.search(r'sun_path="((?:[^"\\]|\\.)*)"', args)
            if path:
                self.add("connect" if name == "connect" else "create", outcome,
                         canonical(cwd, unescape(path[1]), name == "connect"), line)
        elif (name in ("fchmod", "fchown", "fsetxattr", "fremovexattr") or name == "utimensat") and not strings and dirs:
            self.add("meta", outcome, unescape(dirs[0]), line)
        elif name in NAMED:
            op, follow = NAMED[name]
            if not strings or (strings[0] == "" and "AT_EMPTY_PATH" in args):
                return cwd
            follow = not nofollow if follow is None else follow
            path = canonical(base, strings[0], follow)
            self.add(op, outcome, path, line)
            if name == "chdir" and outcome == "ok":
                return path
        elif name == "fchdir" and outcome == "ok" and dirs:
            return unescape(dirs[0])
        return cwd

    def opened(self, name, args, strings, base, outcome, fd_path, line):
        if not strings or not strings[0]:
            return
        path = unescape(fd_path) if fd_path else canonical(base, strings[0], "O_NOFOLLOW" not in args)
        path = re.sub(r" \(deleted\)$", "", path)
        if "O_PATH" in args:
            self.add("stat", outcome, path, line)
            return
        if "O_TMPFILE" in args:
            self.add("create", outcome, canonical(base, strings[0], True), line)
            return
        if "O_CREAT" in args and outcome == "failed":
            self.add("create", outcome, canonical(base, strings[0], False), line)
            return
        if "O_WRONLY" not in args and name != "creat":
            self.add("read", outcome, path, line)
        if "O_WRONLY" in args or "O_RDWR" in args or name == "creat":
            self.add("write", outcome, path, line)


class Record:
    """The same of a record; `kernel` are those that strace has no call for."""

    def __init__(self, file):
        self.seen, self.kernel, self.tmpdir, self.complete, self.created = {}, set(), None, None, set()
        with open(file, encoding="utf-8") as f:
            for text in f:
                line = json.loads(text)
                if line["type"] == "start":
                    self.tmpdir = line["tmpdir"]
                elif line["type"] == "end":
                    self.complete = line["complete"]
                elif line["type"] == "access" and line.get("path", "").startswith("/"):
                    self.access(line, text)

    def access(self, line, text):
        err = line.get("errno")
        outcome = "ok" if not err else "missing" if err in (2, 20) else "failed"
        op = "read" if line["op"] == "list" else line["op"]
        key = (op, outcome, line["path"])
        self.seen.setdefault(key, text.strip())
        if line["reply"] == "kernel":
            self.kernel.add(key)
        if op == "create":
            self.created.add(line["path"])


def plain(key):
    """Without what is another one in each run: process ids, and names made by chance (as binutils makes them)."""
    op, outcome, name = key
    name = re.sub(r"^/proc/\d+(/task/\d+)?", "/proc/PID", name)
    return op, outcome, re.sub(r"/(st|tmp|cc)[A-Za-z0-9_]{6}(?=/|\.|$)", r"/\1XXXXXX", name)


def compare(log, record, ignore=()):
    """Two lists of lines: what strace has and the record lacks, and the other way around."""
    ignore = tuple(ignore) + ((record.tmpdir,) if record.tmpdir else ())
    theirs = {plain(k): v for k, v in log.seen.items() if not k[2].startswith(ignore)}
    ours = {plain(k): v for k, v in record.seen.items() if not k[2].startswith(ignore)}
    kernel = {plain(k) for k in record.kernel}
    lacking = [(k, v) for k, v in sorted(theirs.items()) if k not in ours and not explained(k, ours)]
    more = [(k, v) for k, v in sorted(ours.items()) if k not in theirs and k not in kernel and not added(k, theirs)]
    return lacking, more


def explained(key, ours):
    op, outcome, name = key
    # A rename or link fails as one call, and the record says which of its names was the reason.
    if outcome != "ok" and op in ("create", "delete"):
        return any((o, r, name) in ours for o in ("create", "delete", "stat") for r in ("missing", "failed")) or \
            any(o in ("create", "delete", "stat") and r == outcome for o, r, _ in ours)
    # Opened for reading and writing and missing: one of the two is said.
    if outcome == "missing" and op == "write":
        return ("read", outcome, name) in ours or ("create", outcome, name) in ours
    if outcome == "missing" and op == "read":
        return ("create", outcome, name) in ours
    # A failure of permissions is predicted, others of the kernel are not.
    return outcome == "failed" and (op, "ok", name) in ours


def added(key, theirs):
    op, outcome, name = key
    # strace does not say whether O_CREAT created; renames replace.
    if op in ("create", "delete") and outcome == "ok":
        return any((o, "ok", name) in theirs for o in ("write", "read", "create"))
    if op == "create" and outcome == "missing":
        return ("write", outcome, name) in theirs or ("read", outcome, name) in theirs
    # O_TRUNC with O_RDONLY writes; a watch on a directory lists it; what O_TMPFILE makes is named by its directory.
    if op in ("write", "read") and outcome == "ok":
        return ("create", "ok", name) in theirs or ("read", "ok", name) in theirs or ("write", "ok", name) in theirs or ("stat", "ok", name) in theirs
    if op == "stat" and outcome == "missing":
        return ("create", "missing", name) in theirs
    return False


def main():
    log, record = Log(sys.argv[1], cwd=sys.argv[3] if len(sys.argv) > 3 else None), Record(sys.argv[2])
    lacking, more = compare(log, record, ("/tmp/cc",))
    print("%d calls, %d names in strace's log, %d in the record%s" % (
        log.calls, len(log.seen), len(record.seen), "" if record.complete else " (INCOMPLETE)"))
    for title, rows in (("only in strace's log", lacking), ("only in the record", more)):
        print("%s: %d" % (title, len(rows)))
        for key, line in rows[:int(os.environ.get("ROWS", "60"))]:
            print("  %-7s %-8s %s\n      %s" % (*key, line[:160]))
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
