# SPDX-License-Identifier: Apache-2.0
"""What may not be executed is not executed, whatever it is called by; what may, runs.

Strict holes are kept by Landlock: nothing beside them that is new can run either. Checked ones are kept by
looking at what was really executed, before its first instruction.
"""

import os
import re
import shutil

from harness import LAYERS, SluiceCase, add_cases, case

STRICT = "{base}\nallow all {dir}\ndeny exec {dir}/bin/f\n"
CHECKED = STRICT + "exec-holes checked\n"
RAN, RAN_F = 40, 41

RENAME = "python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "

# Names that lead to the denied program, some made at run time. Each does run it without sluice.
NAMES = {
    "its_name": "exec bin/f",
    "dots": "exec bin/../bin/./f",
    "a_relative_name": "cd bin; exec ./f",
    "the_search_path": "PATH=$PWD/bin:$PATH; exec f",
    "a_link": "exec ./to-f",
    "a_link_to_its_directory": "exec to-bin/f",
    "a_new_link": "ln -s bin/f l; exec ./l",
    "a_new_hard_link": "ln bin/f bin/g && exec bin/g",
    "a_new_hard_link_elsewhere": "ln bin/f g && exec ./g",
    "a_rename": RENAME + "bin/f bin/g; exec bin/g",
    "a_rename_elsewhere": "mkdir -p d && " + RENAME + "bin/f d/g; exec d/g",
    "a_rename_over_its_neighbour": RENAME + "bin/f bin/a; cmp bin/a bin/f || exec bin/a",
    "a_rename_of_its_directory": RENAME + "bin other; exec other/f",
    "a_renamed_directory_above": RENAME + "deep other; exec other/bin/../../bin/f",
}
# Copies are other programs. Strict holes let nothing new run beside them, so these neither.
COPIES = {
    "a_copy": "cp bin/f bin/new; exec bin/new",
    "a_copy_of_the_neighbour": "cp bin/a bin/new; exec bin/new",
    "a_move_that_copies": "mv bin/f bin/g; exec bin/g",
    "a_move_of_the_directory": "mv bin other; exec other/f",
}
WAYS = ("plain", "execveat", "proc", "readable", "thread", "deleted")


class Exec(SluiceCase):
    def needs_landlock(self):
        if LAYERS == "emulate":
            self.skip("without Landlock strict holes are kept by name only, as the documentation says")

    def lay_out(self):
        shutil.rmtree(self.dir)
        os.makedirs(os.path.join(self.dir, "deep/bin"))
        for name in ("bin/a", "bin/f"):
            path = self.put(name)
            shutil.copyfile(self.program("exec_race"), path)
            os.chmod(path, 0o755)
        for to, name in (("bin/f", "to-f"), ("bin", "to-bin")):
            os.symlink(to, os.path.join(self.dir, name))
        os.mkdir(os.path.join(self.dir, "old"))
        self.put("script", "#!%s/bin/f\n" % self.dir, 0o755)
        self.put("good-script", "#!%s/bin/a\n" % self.dir, 0o755)

    def refuses(self, script, policy):
        self.lay_out()
        r = self.native("sh", "-c", script)
        self.assertIn(r.status, (RAN, RAN_F), "the control\n%s" % r)
        self.lay_out()
        r = self.sluice("sh", "-c", "echo began; " + script, policy=policy)
        self.assertEqual("began", r.out.split()[0], r)
        self.assertNotIn("ran", r.out.split(), r)
        self.assertNotIn(r.status, (RAN, RAN_F), r)

    def does_run(self, script, policy):
        self.lay_out()
        r = self.sluice("sh", "-c", script, policy=policy)
        self.assert_status(r, RAN)
        self.assertEqual("ran\n", r.out)

    @case
    def the_neighbour_that_was_there_runs(self):
        for policy in (STRICT, CHECKED):
            self.does_run("exec bin/a", policy)
            self.does_run("exec ./good-script", policy)

    @case
    def strict_denies_a_script_of_the_denied_interpreter(self):
        self.needs_landlock()
        self.refuses("exec ./script", STRICT)

    @case
    def strict_with_another_name_of_the_hole_is_refused_at_the_start(self):
        self.needs_landlock()
        self.lay_out()
        os.link(os.path.join(self.dir, "bin/f"), os.path.join(self.dir, "hard"))
        r = self.sluice("sh", "-c", "exec ./hard", policy=STRICT)
        self.assert_status(r, 125)
        self.assertIn("names a file that has other names (hard links), which could be executed", r.err)

    @case
    def checked_denies_another_name_of_the_hole(self):
        self.lay_out()
        os.link(os.path.join(self.dir, "bin/f"), os.path.join(self.dir, "hard"))
        self.assert_status(self.native("sh", "-c", "exec ./hard"), RAN)
        r = self.sluice("sh", "-c", "exec ./hard", policy=CHECKED)
        self.assert_status(r, 126)

    @case
    def strict_runs_what_is_new_in_an_old_directory_beside_the_way_to_the_hole(self):
        self.does_run("cp bin/a old/new && exec old/new", STRICT)

    @case
    def checked_runs_what_is_new_beside_the_hole(self):
        self.does_run("cp bin/a bin/new && exec bin/new", CHECKED)

    @case
    def checked_denies_what_has_no_name(self):
        self.refuses("exec %s exec memfd bin/a" % self.program("exec_race"), CHECKED)

    @case
    def what_is_built_beside_a_secret_runs(self):
        """A refusal to read is no hole for exec."""
        if not shutil.which("cc"):
            self.skip("there is no C compiler")
        policy = "{base}\nallow all {dir}\nallow all $TMPDIR\ndeny read {dir}/secret\n"
        self.put("secret", "SECRET\n")
        self.put("p.c", "int main(void) { return 7; }\n")
        script = ("cc -o prog p.c && ./prog; echo $?; mkdir d && cc -o d/prog p.c && d/prog; echo $?\n"
                  "cat secret")
        r = self.sluice("sh", "-c", script, policy=policy)
        self.assertEqual("7\n7\n", r.out, r)

    @case
    def asking_about_exec_without_anybody_to_ask_is_no(self):
        policy = CHECKED.replace("deny exec", "ask exec")
        self.lay_out()
        r = self.sluice("sh", "-c", "bin/f; echo $?; bin/a; echo $?", policy=policy, options=["--prompt", "none"])
        self.assertEqual(["126", "ran", "40"], r.out.split(), r)

    @case
    def a_yes_is_for_one_exec_even_if_that_fails(self):
        """The next one is of a script, whose interpreter nobody was asked about."""
        policy = CHECKED.replace("deny exec", "ask exec")
        script = "import os\ntry: os.execv('bin/f', ['f', 'x' * 300000])\nexcept OSError: print('failed', flush=True)\n"
        self.lay_out()
        self.put("../prompt", "#!/bin/sh\ncat >/dev/null\necho '{\"answer\":\"yes\"}'\n", 0o755)
        options = ["--prompt", "exec:%s" % os.path.join(self.root, "prompt")]
        argv = ["/usr/bin/python3", "-c"]
        r = self.sluice(*argv, "import os; os.execv('bin/f', ['f'])", policy=policy, options=options)
        self.assert_status(r, RAN_F)
        r = self.sluice(*argv, script + "os.execv('script', ['f'])", policy=policy, options=options)
        self.assertEqual(("failed\n", -9), (r.out, r.status), r)

    @case
    def asking_about_exec_needs_checked_holes(self):
        self.lay_out()
        r = self.sluice("true", policy=STRICT.replace("deny exec", "ask exec"))
        self.assert_status(r, 125)
        self.assertIn("write exec-holes checked, or make it a deny", r.err)

    @case
    def never_is_strict_even_where_holes_are_checked(self):
        """Its refusal is the kernel's own: no race to win, nobody has to be killed."""
        self.needs_landlock()
        self.race("memory", CHECKED.replace("deny exec", "never exec"), 1500, wants_kills=False)

    # Races --------------------------------------------------------------------------------------

    def counts(self, result):
        self.assert_status(result, 0)
        return {k: int(v) for k, v in re.findall(r"(\w+) (\d+)", result.out)}

    def race(self, how, policy, ms=2500, wants_kills=True):
        argv = [self.program("exec_race"), how, os.path.join(self.dir, "bin")]
        self.lay_out()
        native = self.counts(self.native(*argv, "500"))
        self.assertGreater(native["forbidden"], 0, "the control: %s" % native)
        for attempt in range(4):
            self.lay_out()
            r = self.sluice(*argv, str(ms << attempt), policy=policy)
            seen = self.counts(r)
            self.assertEqual(seen["forbidden"], 0, "the forbidden program ran: %s" % seen)
            if seen["allowed"] and seen["refused"] and (seen["killed"] or not wants_kills):
                return
        self.fail("the race was never close: %s" % seen)

    @case
    def strict_wins_every_race_for_the_bytes_of_the_path(self):
        self.needs_landlock()
        self.race("memory", STRICT, wants_kills=False)

    @case
    def strict_wins_every_race_for_a_link(self):
        self.needs_landlock()
        self.race("link", STRICT, wants_kills=False)

    @case
    def checked_kills_who_wins_the_race_for_the_bytes_of_the_path(self):
        self.race("memory", CHECKED)

    @case
    def checked_wins_every_race_for_a_link(self):
        self.race("link", CHECKED, wants_kills=False)


add_cases(Exec, NAMES, lambda self, n: self.refuses(NAMES[n], STRICT), "strict_denies_by_")
add_cases(Exec, NAMES, lambda self, n: self.refuses(NAMES[n], CHECKED), "checked_denies_by_")
if LAYERS == "auto":
    add_cases(Exec, COPIES, lambda self, n: self.refuses(COPIES[n], STRICT), "strict_denies_by_")


def oddly(policy):
    def test(self, way):
        self.refuses("exec %s exec %s bin/f" % (self.program("exec_race"), way), policy)
    return test


add_cases(Exec, WAYS, oddly(STRICT), "strict_denies_through_")
add_cases(Exec, WAYS, oddly(CHECKED), "checked_denies_through_")
