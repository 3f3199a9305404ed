# SPDX-License-Identifier: Apache-2.0
"""Holes stay holes while names move: renames, links and mounts against the planner's grants."""

import os
import subprocess

from harness import LAYERS, SluiceCase, case

MOVE = ["perl", "-e", 'rename($ARGV[0], $ARGV[1]) or die "$!\\n"']


class Moves(SluiceCase):
    def move(self, policy, source, target):
        return self.sluice(*MOVE, self.path(source), self.path(target), policy=policy)

    def path(self, name):
        return os.path.join(self.dir, name)

    @case
    def a_granted_directory_does_not_take_its_rights_along(self):
        """exec is refused in data; what ran in obj must not make data/obj a place to run from."""
        if LAYERS == "emulate":
            self.skip("without Landlock there are no grants, and exec is judged by name only")
        policy = "{base}\nallow all {dir}\ndeny exec {dir}/data\nreport none\n"
        for name in ("obj", "data"):
            os.makedirs(self.path(name), exist_ok=True)
        moved = self.move(policy, "obj", "data/obj")
        self.assertNotEqual(moved.status, 0, moved)
        self.assertIn("Invalid cross-device link", moved.err)
        script = 'mkdir -p obj data/obj; cp /bin/true data/obj/t; data/obj/t'
        result = self.sluice("sh", "-c", script, policy=policy)
        self.assertEqual(result.status, 126, result)
        # mv falls back to copying.
        result = self.sluice("mv", self.path("obj"), self.path("data/obj2"), policy=policy)
        self.assertEqual(result.status, 0, result)
        self.assertTrue(os.path.isdir(self.path("data/obj2")))

    @case
    def a_hole_can_not_be_renamed_linked_or_exchanged_away(self):
        policy = "{base}\nallow all {dir}\ndeny read {dir}/secret\nreport none\n"
        self.put("secret", "SECRET\n")
        self.put("plain", "plain\n")
        for command in ('mv -T secret x && cat x', 'ln secret x && cat x', 'mkdir -p d; ln secret d/x && cat d/x',
                        'cp secret x', 'cat < secret'):
            result = self.sluice("sh", "-c", command, policy=policy)
            self.assertNotEqual(result.status, 0, result)
            self.assertNotIn("SECRET", result.out)
        self.assertTrue(os.path.exists(self.path("secret")))

    @case
    def what_takes_a_granted_files_place_can_be_read(self):
        """An editor outside of the tree saves by a rename. Beside a hole each file has a grant of its own, by inode."""
        self.put("no/secret", "SECRET\n")
        self.put("f", "old\n")
        for report in ("none", "all"):
            policy = "{base}\nallow all {dir}\ndeny all {dir}/no\nreport %s\n" % report
            argv = self.sluice_argv("sh", "-c", "cat f; cat f; echo go; read x; cat f; cat f", policy=policy)
            process = self.start(argv, stdin=subprocess.PIPE)
            before = [process.stdout.readline() for _ in range(3)]
            self.put("new", "new\n")
            os.rename(self.path("new"), self.path("f"))
            out, err = process.communicate("\n", timeout=30)
            self.assertEqual((before[1:], out, process.returncode), ([before[0], "go\n"], "new\nnew\n", 0), err)

    @case
    def names_move_freely_where_nothing_differs(self):
        policy = "{base}\nallow all {dir}\ndeny w {dir}/hooks\nreport none\n"
        self.put("a/f", "f\n")
        self.put("hooks/h", "h\n")
        script = 'mv a/f a/g && mkdir a/d && mv a/g a/d/g && mv a/d a/e && ln a/e/g a/l && mv a/l top && cat top'
        result = self.sluice("sh", "-c", script, policy=policy)
        self.assertEqual(result.status, 0, result)
        self.assertEqual(result.out, "f\n")


class Mounts(SluiceCase):
    @case
    def a_bind_mount_gives_no_other_name_to_a_hole(self):
        if os.geteuid() != 0:
            self.skip("needs root to mount")
        policy = "{base}\nallow all {dir}\ndeny read {dir}/home/secret\nreport none\n"
        self.put("home/secret/key", "SECRET\n")
        self.put("home/open", "open\n")
        os.makedirs(os.path.join(self.dir, "copy"))
        copy = os.path.join(self.dir, "copy")
        subprocess.run(["mount", "--bind", os.path.join(self.dir, "home"), copy], check=True)
        try:
            self.assertEqual(self.native("cat", copy + "/secret/key").out, "SECRET\n")
            self.assertEqual(self.sluice("cat", copy + "/open", policy=policy).out, "open\n")
            result = self.sluice("cat", copy + "/secret/key", policy=policy)
            self.assertEqual(result.status, 1, result)
            self.assertNotIn("SECRET", result.out)
            result = self.sluice(*MOVE, copy + "/secret", copy + "/x", policy=policy)
            self.assertIn("Invalid cross-device link", result.err)
        finally:
            subprocess.run(["umount", copy], check=True)
