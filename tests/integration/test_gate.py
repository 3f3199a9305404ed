# SPDX-License-Identifier: Apache-2.0
"""--gate on: what the kernel grants is opened unseen, and nothing else changes."""

import json
import os
import unittest

from harness import LAYERS, SluiceCase, case

POLICY = "{base}\nallow rw {dir}/mine\n"
# The supervisor alone can tell these from their neighbours.
SUPERVISED = POLICY + "allow rw {dir}/*.open\n"

# Opens of every kind through libc, and what came of them.
OPENS = r"""
import os, stat
os.chdir("mine")
os.umask(0o027)
here = os.open(".", os.O_RDONLY)
def report(what, *how, **where):
    try:
        fd = os.open(*how, **where)
    except OSError as e:
        print(what, "errno", e.errno)
        return
    import fcntl
    st = os.fstat(fd)
    print(what, fd, oct(fcntl.fcntl(fd, fcntl.F_GETFL)), fcntl.fcntl(fd, fcntl.F_GETFD), oct(st.st_mode))
    os.close(fd)
for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_TRUNC, os.O_WRONLY | os.O_APPEND, os.O_PATH,
              os.O_RDONLY | os.O_NOFOLLOW, os.O_RDONLY | os.O_DIRECTORY):
    for name in ("file", "link", "dangling", "dir", "missing", "dir/none", "file/x", "../closed", ""):
        if name == "../closed" and flags & os.O_DIRECTORY:
            continue  # closed, and no directory: whichever is said first
        report("%s %o" % (name, flags), name, flags)
        report("at %s %o" % (name, flags), name, flags, dir_fd=here)
report("made", "made", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
report("made again", "made", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
report("made outside", "../made", os.O_CREAT | os.O_WRONLY, 0o666)
report("tmpfile", ".", os.O_TMPFILE | os.O_RDWR, 0o640)
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
for address in None, ctypes.c_void_p(1):
    print("no path", libc.open(address, os.O_RDONLY), ctypes.get_errno())
"""


@unittest.skipIf(LAYERS != "auto", "the gate needs Landlock")
class Gate(SluiceCase):
    def setUp(self):
        super().setUp()
        os.mkdir(os.path.join(self.dir, "mine"))
        self.file = self.put("mine/file", "text\n")
        os.symlink("file", os.path.join(self.dir, "mine/link"))
        os.symlink("none", os.path.join(self.dir, "mine/dangling"))
        os.mkdir(os.path.join(self.dir, "mine/dir"))
        self.closed = self.put("closed", "SECRET\n")

    def with_gate(self, *argv, policy=POLICY, gate="on", options=(), **how):
        stats = os.path.join(self.root, "stats%d" % self.runs)
        result = self.sluice(*argv, policy=policy, options=["--gate", gate, "--stats", stats, *options], **how)
        if result.status != 125 and os.path.exists(stats):
            with open(stats) as f:
                result.stats = json.load(f)
        return result

    @case
    def what_is_granted_is_opened_unseen(self):
        script = "for i in range(500): open(%r).close()" % self.file
        seen = self.with_gate("/usr/bin/python3", "-c", script, gate="off").stats["notifications"]
        self.assertGreater(seen, 500)
        self.assertLess(self.with_gate("/usr/bin/python3", "-c", script).stats["notifications"], seen - 400)

    @case
    def a_terminal_that_is_made_is_known_to_be_the_commands(self):
        script = ("import os, fcntl, struct\nm = os.open('/dev/ptmx', os.O_RDWR | how)\n"
                  "fcntl.ioctl(m, 0x40045431, struct.pack('i', 0))\n"  # TIOCSPTLCK, TIOCGPTN
                  "n = struct.unpack('i', fcntl.ioctl(m, 0x80045430, b'1234'))[0]\n"
                  "os.write(os.open('/dev/pts/%d' % n, os.O_RDWR | os.O_NOCTTY), b'x')\nprint(os.read(m, 1))")
        for how in ("0", "os.O_NOCTTY"):
            r = self.with_gate("/usr/bin/python3", "-c", script.replace("how", how))
            self.assertEqual("b'x'\n", r.out, r)

    @case
    def every_open_gives_what_it_gives_without_the_gate(self):
        def without_numbers(text):
            return text.replace(self.dir, "")
        without = self.with_gate("/usr/bin/python3", "-c", OPENS, gate="off")
        self.assert_status(without, 0)
        self.assertIn("file 0 ", without.out)
        self.assertIn("errno 13", without.out)
        os.unlink(os.path.join(self.dir, "mine/made"))
        self.put("mine/file", "text\n")
        self.assertEqual(without_numbers(without.out), without_numbers(self.with_gate("/usr/bin/python3", "-c", OPENS).out))

    @case
    def a_refusal_is_seen_and_told_all_the_same(self):
        result = self.with_gate("cat", self.closed, options=["-v"])
        self.assertNotIn("SECRET", result.out)
        self.assertIn("read", result.err)
        self.assertIn("/closed", result.err)
        self.assertEqual(result.stats["refusals"], 1)

    @case
    def what_only_the_supervisor_grants_is_opened_by_it(self):
        script = "import os; name = %r; open(name, 'w').write('yes'); print(open(name).read())"
        result = self.with_gate("/usr/bin/python3", "-c", script % os.path.join(self.dir, "x.open"), policy=SUPERVISED)
        self.assertIn("yes", result.out)
        self.assertGreater(result.stats["emulated"], 0)

    @case
    def denies_to_the_page_what_it_denies_elsewhere(self):
        program = self.program("gate_jump")
        planted = os.path.join(self.dir, "planted")
        argv = [program, self.closed, planted, self.file]
        native = self.native(*argv).out
        self.assertIn("SECRET", native)
        self.assertTrue(os.path.exists(planted))
        os.unlink(planted)
        for policy in (POLICY, SUPERVISED, POLICY + "never read {dir}/mine/file\n"):
            result = self.with_gate(*argv, policy=policy)
            self.assert_status(result, 0)
            self.assertNotIn("SECRET", result.out)
            self.assertFalse(os.path.exists(planted))
            self.assertEqual("never" not in policy, "text" in result.out, "the page is there, and does open")

    @case
    def other_preloaded_libraries_stay(self):
        out = self.with_gate("sh", "-c", "echo $LD_PRELOAD", env={"LD_PRELOAD": "libc.so.6"}).out
        self.assertTrue(out.endswith("libsluice-gate.so:libc.so.6\n"), out)

    @case
    def says_why_where_it_can_not_be(self):
        def refused(text, **how):
            result = self.with_gate("true", **how)
            self.assert_status(result, 125)
            self.assertIn(text, result.err)
        refused("--record", options=["--record", os.path.join(self.root, "r")])
        refused("Landlock", options=["--layers", "emulate"])
        refused("only the supervisor can keep", policy="{base}\nallow all {dir}\ndeny read **/.env\n")
