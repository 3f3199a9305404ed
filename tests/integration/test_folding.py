# SPDX-License-Identifier: Apache-2.0
"""Rules in directories where upper and lower case are one name: what they can't keep is not begun."""

import fcntl
import os
import struct
import subprocess
import sys

from harness import SLUICE, SluiceCase, add_cases, case

FS_IOC_SETFLAGS, FS_CASEFOLD_FL = 0x40086602, 0x40000000
# How to mount at {at} with the image {image}; where it is a matter of directories, they get +F.
IMAGES = {
    "tmpfs": (None, ["mount", "-t", "tmpfs", "-o", "casefold", "folding", "{at}"]),
    "ext4": (["mkfs.ext4", "-q", "-O", "casefold", "{image}"], ["mount", "-o", "loop", "{image}", "{at}"]),
    "vfat": (["mkfs.vfat", "{image}"], ["mount", "-o", "loop", "{image}", "{at}"]),
    "exfat": (["mkfs.exfat", "{image}"], ["mount", "-o", "loop", "{image}", "{at}"]),
    "a_user_file_system": (None, None),
}
READ = ["/bin/cat", "DIR/SecretDir/KEY"]
PLANT = ["/bin/sh", "-c", "echo evil >proj/.GIT/HOOKS/pre-commit; mkdir -p other/.GIT && echo x >other/.Git/config"]
# The policy, which rule of it is told, what must have no effect.
REFUSED = [
    ("{base}\nallow all DIR\ndeny read DIR/secretdir\n", ":5: ", READ),
    ("{base}\nallow all DIR\nask read DIR/secretdir\n", ":5: ", READ),
    ("{base}\nallow all DIR\ndeny read DIR/**/key\n", ":5: ", READ),
    ("{base}\nallow all DIR\ndeny read **/key\n", ":5: ", READ),
    ("{base}\nallow read DIR/[sS]*\ndeny read DIR/secretdir\n", ":5: ", READ),
    ("{base}\nallow all DIR\ndeny w DIR/proj/.git/hooks DIR/other/.git\n", ":5: ", PLANT),
    ("{base}\nallow all DIR\nnever w DIR/proj/.git/hooks/pre-commit DIR/other/.git\n", ":5: ", PLANT),
]


class Folding(SluiceCase):
    def serve(self, at, *options):
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "folding_fs.py")
        server = self.start([sys.executable, program, at, *options])
        self.addCleanup(server.communicate)
        if server.stdout.readline() != "mounted\n":
            self.skip("no FUSE: " + server.stderr.read().strip())
        self.addCleanup(subprocess.run, ["umount", at], check=True)

    def mount(self, how):
        if os.geteuid() != 0:
            self.skip("needs root to mount")
        at, image = os.path.join(self.root, "fold"), os.path.join(self.root, "image")
        os.mkdir(at)
        make, mount = IMAGES[how]
        if mount:
            with open(image, "wb") as f:
                f.truncate(64 << 20)
            for argv in filter(None, (make, mount)):
                argv = [a.format(at=at, image=image) for a in argv]
                try:
                    r = subprocess.run(argv, capture_output=True, text=True, check=False)
                except FileNotFoundError:
                    self.skip("no " + argv[0])
                if r.returncode != 0:
                    self.skip("%s: %s" % (" ".join(argv[:4]), r.stderr.strip().split("\n")[0]))
            self.addCleanup(subprocess.run, ["umount", at], check=True)
        else:
            self.serve(at)
        dir = os.path.join(at, "w")
        os.mkdir(dir)
        if how in ("tmpfs", "ext4"):
            fd = os.open(dir, os.O_RDONLY)
            try:
                fcntl.ioctl(fd, FS_IOC_SETFLAGS, struct.pack("l", FS_CASEFOLD_FL))
            except OSError as e:
                self.skip("no +F: %s" % e)
            finally:
                os.close(fd)
        return dir

    def lay_out(self, dir):
        for name in ("secretdir", "proj/.git/hooks", "other"):
            os.makedirs(os.path.join(dir, name), exist_ok=True)
        with open(os.path.join(dir, "secretdir/key"), "w", encoding="utf-8") as f:
            f.write("SECRET\n")

    def planted(self, dir):
        names = [n for n in ("proj/.git/hooks/pre-commit", "other/.git") if os.path.lexists(os.path.join(dir, n))]
        for name in names:
            subprocess.run(["rm", "-r", os.path.join(dir, name)], check=True)
        return names

    def refuses(self, dir):
        for policy, line, argv in REFUSED:
            argv = [a.replace("DIR", dir) for a in argv]
            r = self.native(*argv, cwd=dir)
            effect = self.planted(dir) or "SECRET" in r.out
            self.assertTrue(effect, "the control\n%s" % r)
            self.assertTrue(effect is True or len(effect) == 2, effect)
            r = self.sluice(*argv, policy=policy.replace("DIR", dir), cwd=dir)
            self.assertNotIn("SECRET", r.out, r)
            self.assertEqual([], self.planted(dir), r)
            self.assert_status(r, 125)
            self.assertIn(line, r.err)
            self.assertIn("upper and lower case are one name", r.err)
            self.assertIn(dir, r.err)

    def refuses_the_default_policy(self, dir):
        script = "echo evil >.GIT/HOOKS/pre-commit"
        where = os.path.join(dir, "proj")
        self.native("/bin/sh", "-c", script, cwd=where)
        self.assertEqual(["proj/.git/hooks/pre-commit"], self.planted(dir), "the control")
        for cwd in (where, os.path.join(dir, "other")):
            r = self.sluice("/bin/sh", "-c", script, policy="build", cwd=cwd)
            self.assertEqual([], self.planted(dir), r)
            self.assert_status(r, 125)
            self.assertRegex(r.err, r'build:\d+: "deny w \$PWD/\.')
            self.assertIn(cwd, r.err)

    def runs_what_can_be_kept(self, dir):
        """What is not allowed is refused by whatever name."""
        r = self.sluice("/bin/sh", "-c", "echo x >PROJ/new && cat proj/NEW", cwd=dir,
                        policy="{base}\nallow all %s\n" % dir)
        self.assertEqual("x\n", r.out, r)
        r = self.sluice("/bin/sh", "-c", "echo y >proj/New; cat proj/new SecretDir/key secretdir/key", cwd=dir,
                        policy="{base}\nallow all %s/proj\ndeny all %s/secretdir\n" % (dir, dir))
        self.assertEqual("y\n", r.out, r)

    @case
    def an_empty_directory_is_judged_by_its_flag_and_else_not_at_all(self):
        if os.geteuid() != 0:
            self.skip("needs root to mount")
        for options, told in (((), "touch %s/x"), (("+F",), "in %s upper and lower case are one name")):
            at = os.path.join(self.root, "at" + "".join(options))
            os.mkdir(at)
            self.serve(at, *options)
            script = "mkdir .GIT && echo x >.Git/config; cat .git/config; rm -r .giT"
            self.assertEqual("x\n", self.native("/bin/sh", "-c", script, cwd=at).out, "the control")
            r = self.sluice("/bin/sh", "-c", "mkdir .GIT", policy="build", cwd=at)
            self.assert_status(r, 125)
            self.assertIn(told % at, r.err)
            self.assertEqual([], os.listdir(at))
        # Empty, too, where the two are told apart.
        self.assertEqual("ok\n", self.sluice("/bin/echo", "ok", policy="build").out)

    @case
    def a_rule_that_comes_later_is_refused_there(self):
        dir = self.mount("a_user_file_system")
        self.lay_out(dir)
        options = ("--name", self.mark)
        process = self.start(self.sluice_argv("/bin/cat", policy="{base}\nallow all %s\n" % dir, options=options),
                             stdin=subprocess.PIPE, cwd=dir)
        self.addCleanup(self.kill_session, process)
        self.wait_for("the run", lambda: self.native(SLUICE, "rule", "list", self.mark).status == 0)
        r = self.native(SLUICE, "rule", "add", self.mark, "deny", "read", dir + "/secretdir")
        self.assert_status(r, 2)
        self.assertIn("in %s upper and lower case are one name" % dir, r.err)
        # What has no name beside it that is allowed is another matter.
        self.assert_status(self.native(SLUICE, "rule", "add", self.mark, "deny", "read", dir), 0)
        process.communicate("", timeout=20)

    @case
    def two_spellings_that_are_two_files_are_no_such_thing(self):
        for name in ("key", "KEY"):
            self.put(name, "SECRET\n" if name == "key" else "open\n")
        os.link(os.path.join(self.dir, "key"), os.path.join(self.dir, "other"))
        policy = "{base}\nallow all {dir}\ndeny read {dir}/key\n"
        self.assertEqual("SECRET\nopen\n", self.native("/bin/cat", "key", "KEY").out)
        self.assertEqual("open\n", self.sluice("/bin/cat", "key", "KEY", policy=policy).out)


def on(self, how):
    dir = self.mount(how)
    self.lay_out(dir)
    self.refuses(dir)
    self.refuses_the_default_policy(dir)
    self.runs_what_can_be_kept(dir)


add_cases(Folding, IMAGES, on, "does_not_start_what_it_can_not_keep_on_")
