# SPDX-License-Identifier: Apache-2.0
"""sluice learn closes the loop: what was recorded runs under the learned policy without a refusal."""

import os
import re
import shutil
import stat
import sys

from harness import SLUICE, LAYERS, SluiceCase, case

MAKEFILE = """\
all: prog
\t./prog > out.txt
prog: a.o b.o
\t$(CC) -o $@ $^
a.o: gen.h
gen.h:
\techo '#define X 3' > gen.tmp && mv gen.tmp gen.h
"""


class Learn(SluiceCase):
    def trace(self, *argv, name="record", **how):
        file = os.path.join(self.root, name)
        r = self._run([SLUICE, "trace", "--layers", LAYERS, "--record", file, "-o", file + ".digest", "--"] + list(argv),
                      timeout=120, **how)
        return file, r

    def learn(self, *files, options=()):
        out = os.path.join(self.root, "learned.policy")
        r = self._run([SLUICE, "learn", "-o", out] + list(options) + list(files))
        self.assert_status(r, 0)
        self.assertNotIn("does not allow", r.err)
        with open(out, encoding="utf-8") as f:
            return out, f.read()

    def close_the_loop(self, prepare, *argv, control=None, **how):
        """Record, learn, start over, run: status 0 and nothing refused."""
        prepare()
        file, r = self.trace(*argv, **how)
        self.assert_status(r, 0)
        policy, text = self.learn(file)
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)
        prepare()
        stats = os.path.join(self.root, "after.jsonl")
        r = self._run([SLUICE, "run", "--layers", LAYERS, "-p", "none", "-p", policy, "-v", "--fail-denied", "--record",
                       stats, "--"] + list(argv), timeout=120, **how)
        self.assertEqual(r.status, 0, "%s\nunder\n%s" % (r, text))
        self.assertNotIn("refused", r.err, "\n" + text)
        if control:
            # What the policy does not speak of is refused: it is no open door.
            r = self.sluice("cat", control, policy=policy)
            self.assertNotEqual(r.status, 0)
        return text

    def closed(self):
        """A file that no learned policy speaks of."""
        path = os.path.join(self.root, "secret")
        with open(path, "w", encoding="utf-8") as f:
            f.write("secret")
        return path

    @case
    def a_build_in_c(self):
        if not shutil.which("make") or not shutil.which("cc"):
            self.skip("make or cc is not installed")

        def prepare():
            self.put("Makefile", MAKEFILE)
            self.put("a.c", '#include "gen.h"\nint f(void);\nint main(void) { return f() - X; }\n')
            self.put("b.c", "int f(void) { return 3; }\n")

        text = self.close_the_loop(prepare, "make", control=self.closed())
        rules = [line for line in text.splitlines() if line.startswith("allow")]
        self.assertLess(len(rules), 12, text)

    @case
    def a_virtual_environment_and_a_package(self):
        python = "/usr/bin/python3"
        if not os.path.exists(python) or self.native(python, "-c", "import ensurepip, setuptools").status:
            self.skip("python3-venv and python3-setuptools are not installed")
        script = ("%s -m venv venv && venv/bin/python -m pip install --no-index --no-build-isolation ./pkg && "
                  "venv/bin/hello" % python)

        def prepare():
            self.put("pkg/setup.py", 'from setuptools import setup\nsetup(name="hello", version="1", packages=["hello"], '
                     'entry_points={"console_scripts": ["hello=hello:main"]})\n')
            self.put("pkg/hello/__init__.py", "def main():\n    print('hi')\n")

        home = os.path.join(self.root, "home")
        os.mkdir(home)
        self.close_the_loop(prepare, "sh", "-c", script, env={"HOME": home, "PATH": "/usr/bin:/bin"})

    @case
    def a_package_of_npm(self):
        if not os.path.exists("/usr/bin/npm"):
            self.skip("npm is not installed")
        home = os.path.join(self.root, "home")
        os.mkdir(home)

        def prepare():
            self.put("dep/package.json", '{"name": "dep", "version": "1.0.0", "main": "i.js", "bin": {"depcmd": "i.js"}}')
            self.put("dep/i.js", '#!/usr/bin/env node\nconsole.log("dep");\n', 0o755)
            self.put("app/package.json", '{"name": "app", "version": "1.0.0"}')

        script = ("cd app && npm install --offline --no-audit --no-fund --install-links ../dep && "
                  "node_modules/.bin/depcmd")
        self.close_the_loop(prepare, "sh", "-c", script,
                            env={"HOME": home, "PATH": "/usr/bin:/bin", "npm_config_update_notifier": "false"})

    @case
    def a_commit(self):
        if not shutil.which("git"):
            self.skip("git is not installed")
        names = {"GIT_%s_%s" % (who, what): "u@example.org"
                 for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        env = dict(names, PATH=os.environ["PATH"], HOME=self.root, GIT_CONFIG_NOSYSTEM="1")

        def prepare():
            self.put("a/a", "1\n")
            r = self._run(["sh", "-c", "git init -q && git add . && git commit -q -m 1 && echo 2 > a/b"], env=env)
            self.assert_status(r, 0)

        text = self.close_the_loop(prepare, "sh", "-c", "git add . && git commit -q -m 2", env=env)
        self.assertNotRegex(text, r"(?m)^allow (rw|w)\S* \$PWD/\.git ")

    @case
    def repositories_in_written_directories_are_kept(self):
        def learned(script):
            file, r = self.trace("sh", "-c", script)
            self.assert_status(r, 0)
            return self.learn(file)

        def stays(policy, name, script):
            path = os.path.join(self.dir, name)
            with open(path, encoding="utf-8") as f:
                before = f.read()
            r = self.sluice("sh", "-c", script, policy=["none", policy])
            self.assertNotEqual(r.status, 0)
            with open(path, encoding="utf-8") as f:
                self.assertEqual(f.read(), before)
            self.assert_status(self.native("sh", "-c", script), 0)
            with open(path, encoding="utf-8") as f:
                self.assertNotEqual(f.read(), before)

        # The .git of a linked worktree, or of a submodule.
        self.put(".git", "gitdir: ../elsewhere\n")
        policy, text = learned("for i in 1 2 3; do echo x > f$i; done")
        self.assertIn("\nallow rw $PWD ", text)
        stays(policy, ".git", "echo gitdir: ./evil > .git")
        os.unlink(os.path.join(self.dir, ".git"))
        # Beneath a directory that the record names, or beside it.
        for name in "abd":
            self.put("ws/%s/.git/hooks/post-commit" % name, "mine\n")
        os.mkdir(os.path.join(self.dir, "ws/c"))
        policy, text = learned("for i in a b c; do echo x > ws/$i/f; done")
        for name in "abd":
            hook = "ws/%s/.git/hooks/post-commit" % name
            stays(policy, hook, "echo evil > " + hook)
        # One that takes the place of another.
        self.put(".git/hooks/post-commit", "mine\n")
        policy, text = learned("mv .git g; mkdir .git; mv g/* .git; rmdir g; echo evil > .git/hooks/post-commit; "
                               "touch x1 x2 x3")
        self.assertIn("$PWD/.git/hooks/post-commit # git runs what it names", text)
        self.put(".git/hooks/post-commit", "mine\n")
        stays(policy, ".git/hooks/post-commit", "echo evil > .git/hooks/post-commit")

    @case
    def many_kinds_of_calls(self):
        here = os.path.dirname(os.path.abspath(__file__))
        import trace_calls
        script = "import sys; sys.path.insert(0, %r); import trace_calls as t\n" \
                 "for part in (t.opens, t.names, t.metadata): part()" % here
        trace_calls.prepare(self.dir)
        file, r = self.trace(sys.executable, "-S", "-B", "-c", script)
        self.assert_status(r, 0)
        policy, text = self.learn(file)
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)
        trace_calls.prepare(self.dir)
        r = self.sluice(sys.executable, "-S", "-B", "-c", script, policy=["none", policy], options=["-v"])
        self.assert_status(r, 0)
        self.assertNotIn("refused", r.err, "\n" + text)

    @case
    def dangerous_things_are_left_out(self):
        home = os.path.join(self.root, "home")
        os.mkdir(home)
        os.mkdir(os.path.join(home, ".ssh"))
        for name in (".ssh/id", ".bashrc"):
            with open(os.path.join(home, name), "w", encoding="utf-8") as f:
                f.write("x\n")
        script = "cat ~/.ssh/id; echo evil >> ~/.bashrc; mkdir -p .git/hooks; echo ok > fine"
        os.mkdir(os.path.join(self.dir, ".git"))
        file, _ = self.trace("sh", "-c", script, env={"HOME": home})
        out = os.path.join(self.root, "p")
        r = self._run([SLUICE, "learn", file, "-o", out], env={"HOME": home})
        self.assert_status(r, 0)
        with open(out, encoding="utf-8") as f:
            text = f.read()
        allowed = "\n".join(line for line in text.splitlines() if line.startswith("allow"))
        for name in (".ssh", ".bashrc", ".git"):
            self.assertNotIn(name, allowed)
            self.assertIn(name, text)
        self.assertIn("$PWD/fine", allowed)
        r = self._run([SLUICE, "run", "--layers", LAYERS, "-p", out, "--", "sh", "-c", "echo evil >> ~/.bashrc"],
                      env={"HOME": home})
        self.assertNotEqual(r.status, 0)
        with open(os.path.join(home, ".bashrc"), encoding="utf-8") as f:
            self.assertEqual(f.read().count("evil"), 1, "the recorded one only")

    @case
    def a_home_behind_a_link_is_a_boundary_too(self):
        real, link = os.path.join(self.root, "real"), os.path.join(self.root, "link")
        os.mkdir(real)
        os.symlink(real, link)
        file, r = self.trace("sh", "-c", "for i in 1 2 3 4; do echo x > ~/f$i; done", env={"HOME": link})
        self.assert_status(r, 0)
        r = self._run([SLUICE, "learn", file], env={"HOME": link})
        self.assert_status(r, 0)
        self.assertIn("allow rw ~/f4", r.out)
        self.assertNotRegex(r.out, r"(?m)^allow \w+ (~|%s) " % real)

    @case
    def records_that_are_not_complete_are_refused(self):
        file, _ = self.trace("true")
        with open(file, encoding="utf-8") as f:
            lines = f.readlines()
        with open(file, "w", encoding="utf-8") as f:
            f.writelines(lines[:-1])
        r = self.native(SLUICE, "learn", file)
        self.assert_status(r, 1)
        self.assertFalse(r.out)
        self.assertIn("not complete", r.err)
        r = self.native(SLUICE, "learn", "--incomplete", file)
        self.assert_status(r, 0)
        self.assertIn("INCOMPLETE", r.out)
        self.put("other", "no record\n")
        self.assert_status(self.native(SLUICE, "learn", "other"), 2)
        self.assert_status(self.native(SLUICE, "learn", "no-such-file"), 2)
        self.assert_status(self.native(SLUICE, "learn"), 2)

    @case
    def the_same_record_gives_the_same_policy_and_files_are_whole_or_not_there(self):
        file, _ = self.trace("sh", "-c", "echo x > a; cat a; rm a")
        first = self.native(SLUICE, "learn", file)
        self.assertEqual(first.out, self.native(SLUICE, "learn", file).out)
        r = self.native(SLUICE, "learn", file, "-o", os.path.join(self.root, "none", "p"))
        self.assert_status(r, 2)
        out = self.put("kept.policy", "mine\n")
        os.chmod(self.dir, 0o755)
        self.assert_status(self.native(SLUICE, "learn", file, "-o", out), 0)
        self.assertEqual(os.listdir(self.dir), ["kept.policy"])
        before = os.stat(file)
        r = self.native(SLUICE, "learn", file, "-o", file)
        self.assert_status(r, 2)
        self.assertIn("name another file", r.err)
        self.assertEqual(os.stat(file), before)
        with open(out, encoding="utf-8") as f:
            self.assertEqual(re.sub(r"-p \S+", "", f.read()), re.sub(r"-p \S+", "", first.out))

    @case
    def what_is_no_file_is_written_and_stays(self):
        file, _ = self.trace("true")
        fifo = os.path.join(self.root, "fifo")
        os.mkfifo(fifo)
        reader = self.start(["cat", fifo])
        self.assert_status(self.native(SLUICE, "learn", file, "-o", fifo), 0)
        self.assertIn("include base", reader.communicate(timeout=10)[0])
        self.assertTrue(stat.S_ISFIFO(os.stat(fifo).st_mode))
        r = self.native(SLUICE, "learn", file, "-o", "/dev/stdout")
        self.assertIn("include base", r.out)
        shared = "/dev/shm/%s" % os.path.basename(self.root)
        with open(shared, "w", encoding="utf-8") as f:
            f.write("longer than any policy\n" * 1000)
        self.addCleanup(os.unlink, shared)
        self.assert_status(self.native(SLUICE, "learn", file, "-o", shared), 0)
        with open(shared, encoding="utf-8") as f:
            self.assertNotIn("longer", f.read())
