# SPDX-License-Identifier: Apache-2.0
"""What the profile `build` promises: the project can be built, and what is around it is kept."""

import contextlib
import os
import pty
import shutil
import stat
import subprocess
import time

from harness import LAYERS, SluiceCase, add_cases, case, tree_of

# Opens a terminal under a name that is another one half of the time.
FLIP = """
import ctypes, os, sys, threading, time
libc, path, end = ctypes.CDLL(None), ctypes.create_string_buffer(64), time.monotonic() + 1
names, wanted, tries, opened = (b"/dev/null", sys.argv[1].encode()), os.stat(sys.argv[1]).st_rdev, 0, 0
def flip():
    while time.monotonic() < end:
        for _ in range(100):
            for path.value in names:
                pass
threading.Thread(target=flip).start()
while time.monotonic() < end:
    fd = libc.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    tries += 1
    if fd >= 0:
        opened += os.fstat(fd).st_rdev == wanted
        os.close(fd)
print("tried", "opened %d times" % opened if opened else "")
"""

TERMINALS = """
import os
def attempt(name):
    try:
        os.write(os.open(name, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK), b"injected")
        return "opened"
    except PermissionError:
        return "refused"
m, s = os.openpty()
name = os.ttyname(s)
print(name, attempt(name), flush=True)
os.closerange(3, 100)
print(*map(attempt, input().split()), flush=True)
os.closerange(3, 100)
again = input()
m, s = os.openpty()
while os.ttyname(s) != again: m, s = os.openpty()
print(attempt(again))
"""

# Each changes what git runs or reads later, outside of the sandbox. "R" stands for the repository.
PLANTS = {
    "a_hook": "printf 'touch ran' >.git/hooks/pre-commit && chmod +x .git/hooks/pre-commit",
    "a_hook_through_a_link": "ln -s .git/hooks h && echo x >h/post-checkout",
    "a_hook_moved_in": "echo x >hook && mv hook .git/hooks/pre-push",
    "a_hook_linked_in": "echo x >hook && ln hook .git/hooks/pre-push",
    "a_hook_that_is_a_link": "ln -s ../../hook .git/hooks/pre-push",
    "another_hooks_directory": "mkdir n && echo x >n/pre-commit && mv .git/hooks o && mv n .git/hooks",
    "hooks_that_are_a_link": "rm -rf .git/hooks && ln -s ../n .git/hooks",
    "a_setting": "git config core.fsmonitor ./evil",
    "a_setting_by_hand": "printf '[core]\\n\\tsshCommand = evil\\n' >>.git/config",
    "a_new_config": "cp .git/config c && echo x >>c && mv c .git/config",
    "a_config_with_another_name": "ln .git/config c && echo x >>c",
    "a_config_that_is_a_link": "rm .git/config && ln -s ../c .git/config",
    "a_config_of_the_worktree": "echo x >.git/config.worktree",
    "a_common_directory": "echo ../elsewhere >.git/commondir",
    "a_repository_elsewhere": "mv .git .tig && echo 'gitdir: .tig' >.git",
    "a_repository_in_its_place": "mkdir r && cd r && git init -q . && cd .. && mv .git o && mv r/.git .git",
    "a_link_in_its_place": "mv .git .tig && ln -s .tig .git",
    "a_submodules_hook": "mkdir -p .git/modules/m/hooks && echo x >.git/modules/m/hooks/pre-commit",
    "its_mode": "chmod 777 .git/hooks",
}
# The same for the git of the linked worktree ../wt, which has $E, a repository whose configuration runs a program.
WORKTREE_PLANTS = {
    "a_common_directory": "echo $E >$W/commondir",
    "a_common_directory_moved_in": "echo $E >c && mv c $W/commondir",
    "a_common_directory_that_is_a_link": "echo $E >c && ln -sf ../../../c $W/commondir",
    "a_setting_of_its_own": "cp -r $E/* $W && rm $W/commondir",
    "a_setting_of_the_worktree": "cp $E/config $W/config.worktree",
    "another_one_in_its_place": "cp -r $W n && echo $E >n/commondir && rm -r $W && mv n $W",
    "another_one_made_in_its_place": "mv $W $W.o && mkdir $W && cp $W.o/* $W; cp -r $E/* $W && rm -f $W/commondir",
    "another_one_among_them": "mv $W $W.o && cp -r $W.o $W && cp -r $E/* $W && rm -f $W/commondir",
    "a_link_in_its_place": "cp -r $W n && cp -r $E/* n && rm n/commondir && mv $W $W.o && ln -s ../../n $W",
    "a_link_in_place_of_all": "cp -r .git/worktrees n && cp -r $E/* n/wt && rm n/wt/commondir && "
                              "mv .git/worktrees .git/o && ln -s ../n .git/worktrees",
    "others_in_place_of_all": "cp -r .git/worktrees n && cp -r $E/* n/wt && rm n/wt/commondir && "
                              "mv .git/worktrees .git/o && mv n .git/worktrees",
    "a_submodules_setting": "cat $E/config >>$W/modules/m/config",
    "a_submodules_common_directory": "echo $E >$W/modules/m/commondir",
    "a_link_in_a_submodules_place": "cp -r $W/modules/m n && sed -i /worktree/d n/config && cat $E/config >>n/config "
                                    "&& mv $W/modules/m $W/o && ln -s ../../../../n $W/modules/m",
}
FRESH_PLANTS = {
    "a_git_file": "echo 'gitdir: elsewhere' >.git",
    "a_git_link": "ln -s elsewhere .git",
    "a_git_directory": "mkdir .git",
    "a_git_directory_moved_in": "mkdir d && mv d .git",
    "a_repository": "git init -q .",
}
SECRETS = (".ssh/id_ed25519", ".ssh/config", ".aws/credentials", ".gnupg/secring.gpg", ".netrc", ".npmrc", ".pypirc",
           ".git-credentials", ".docker/config.json", ".kube/config", ".config/gh/hosts.yml", ".config/gcloud/x.json",
           ".cargo/credentials.toml", ".password-store/mail.gpg", ".bash_history", ".mozilla/firefox/p/logins.json",
           ".local/share/uv/credentials/credentials.toml", ".conan2/credentials.json", ".stack/upload/credentials.json",
           ".luarocks/upload_config.lua", ".nimble/github_api_token", "Documents/letter.txt", ".config/sluice/my.policy")
STARTERS = (".bashrc", ".profile", ".zshrc", ".config/autostart/x.desktop", ".local/bin/git", ".ssh/authorized_keys",
            ".gitconfig", ".config/git/config", ".vimrc", ".config/systemd/user/x.service", ".config/sluice/x.policy",
            ".ccache/ccache.conf", ".cache/ccache/ccache.conf")
OBEYED = (".vscode/settings.json", ".vscode/tasks.json", ".idea/workspace.xml", ".zed/tasks.json", ".cursor/mcp.json", ".envrc", ".claude/settings.json",
          ".mcp.json", "HEAD")
# Where a profile lets a build make something, and where a link there might lead.
ROOTS = (".ccache", ".cache/sccache", ".cache/go-build", ".npm/_logs", ".cargo/.package-cache")
LEADS = ("", ".ssh", ".bashrc", "/")
GIT = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
       "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_NOSYSTEM": "1"}


class Build(SluiceCase):
    def setUp(self):
        super().setUp()
        self.home = os.path.join(self.root, "home")
        os.mkdir(self.home)

    def environment(self, extra=None):
        return super().environment({"HOME": self.home, "PATH": "/usr/bin:/bin", **GIT, **(extra or {})})

    def shell(self, script, policy="build", **how):
        return self.sluice("sh", "-c", script, policy=policy, **how)

    # Git ----------------------------------------------------------------------------------------

    def repository(self):
        if not shutil.which("git"):
            self.skip("git is not installed")
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)
        r = self.native("sh", "-c", "git init -q . && echo 1 >file && git add file && git commit -qm one")
        self.assert_status(r, 0)

    def protected(self):
        """What a later git of the user's would obey."""
        seen = {}
        git = os.path.join(self.dir, ".git")
        for name in ("", "config", "config.worktree", "commondir", "hooks", "modules/m/hooks"):
            path = os.path.join(git, name) if name else git
            with contextlib.suppress(OSError):
                st = os.lstat(path)
                seen[name] = [oct(st.st_mode), st.st_ino]
                if stat.S_ISREG(st.st_mode):
                    with open(path, encoding="utf-8") as f:
                        seen[name].append(f.read())
                elif name and stat.S_ISDIR(st.st_mode):
                    seen[name].append(sorted(os.listdir(path)))
        return seen

    def keeps_out(self, script, fresh):
        def lay_out():
            if fresh:
                shutil.rmtree(self.dir)
                os.mkdir(self.dir)
            else:
                self.repository()
            return self.protected()
        before = lay_out()
        r = self.native("sh", "-c", script)
        self.assertNotEqual(before, self.protected(), "the control\n%s" % r)
        before = lay_out()
        r = self.shell(script)
        self.assertEqual(before, self.protected(), r)
        self.assertIn("refused", r.err)

    def with_others(self):
        """A repository with a submodule and two linked worktrees, each with that submodule: ../wt and in."""
        self.repository()
        for name in ("m", "wt"):
            shutil.rmtree(os.path.join(self.root, name), ignore_errors=True)
        r = self.native("sh", "-ec", """
            git init -q ../m; cd ../m; echo 1 >f; git add f; git commit -qm m; cd ../w
            git config extensions.worktreeConfig true; alias git='git -c protocol.file.allow=always'
            git submodule --quiet add ../m m; git commit -qm two; git worktree add -q ../wt; git worktree add -q in
            git -C ../wt submodule --quiet update --init; git -C in submodule --quiet update --init""")
        self.assert_status(r, 0)

    def git_of_the_worktree_runs(self, script, runner):
        """Does git in ../wt run a program after SCRIPT?"""
        self.with_others()
        ran = os.path.join(self.root, "ran")
        r = runner("sh", "-c", """W=.git/worktrees/wt E=$PWD/evil; printf '#!/bin/sh\ntouch %s\n' >run; chmod +x run
            mkdir -p $E/objects $E/refs; echo ref: refs/heads/wt >$E/HEAD; printf %s "$PWD" >$E/config
""" % (
            ran, "'[core]\nbare = false\nfsmonitor = \"%s/run\"\n'") + script)
        seen = self.native("git", "status", cwd=os.path.join(self.root, "wt"))
        if os.path.exists(ran):
            os.unlink(ran)
            return True, r, seen
        return False, r, seen

    def keeps_out_of_the_worktree(self, script):
        ran, *results = self.git_of_the_worktree_runs(script, self.native)
        self.assertTrue(ran, "the control\n%s\n%s" % tuple(results))
        ran, r, seen = self.git_of_the_worktree_runs(script, lambda *a: self.sluice(*a, policy="build"))
        self.assertFalse(ran, r)
        self.assertIn("refused", r.err)
        return seen

    @case
    def git_itself_works(self):
        self.repository()
        script = """set -e
            echo 2 >>file; git add file; git commit -qm two; git checkout -qb other; echo 3 >new; git add new
            git commit -qm three; git checkout -q -; git merge -q other; git tag t; git stash list; git status -s
            git gc -q; git branch -D other >/dev/null; git log --format=%s"""
        r = self.shell(script)
        self.assert_status(r, 0)
        self.assertEqual("three\ntwo\none\n", r.out, r)
        self.assertEqual("three\ntwo\none\n", self.native("git", "log", "--format=%s").out)
        self.assert_status(self.native("git", "fsck", "--strict"), 0)

    @case
    def git_works_in_worktrees_and_submodules_that_are_there(self):
        self.with_others()
        r = self.native("sh", "-ec", "cd ../m; echo 2 >f; git commit -qam newer; git rev-parse HEAD")
        self.assert_status(r, 0)
        work = "echo 2 >>file; git add file; git commit -qm more; git checkout -qb $1; echo 3 >new; git add new; " \
               "git commit -qm new; git checkout -q -; git merge -q $1; git status -s -uno; git stash list; git gc -q"
        script = """set -e; alias git='git -c protocol.file.allow=always'
            work() { %s; }
            (work a); (cd in; work b)
            (cd m; git fetch -q; git checkout -q %s; echo 4 >f; git add f; git commit -qm mine)
            git add m; git commit -qm module; git checkout -q HEAD~; git -C m checkout -q HEAD~; git status -s
            git checkout -q -; git -C m checkout -q -
            git -C m log --format=%%s; git log -1 --format=%%s; git -C in log -1 --format=%%s
            """ % (work, r.out.strip())
        r = self.sluice("sh", "-c", script, policy=["build", "allow ro %s/m\n" % self.root])
        self.assertEqual(" M m\n?? in/\nmine\nnewer\nm\nmodule\nnew\n", r.out, r)
        self.assert_status(r, 0)
        for where in (".", "in", "m", "../wt"):
            self.assert_status(self.native("git", "-C", where, "fsck", "--strict"), 0)

    @case
    def a_repository_deeper_down_is_its_own_business(self):
        self.repository()
        r = self.shell("mkdir -p build/dep && cd build/dep && git init -q . && echo 1 >f && git add f && "
                       "git commit -qm dep && git log --format=%s")
        self.assertEqual("dep\n", r.out, r)

    # The user's home ----------------------------------------------------------------------------

    def put_home(self, name, content="SECRET\n"):
        path = os.path.join(self.home, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(content)

    @case
    def secrets_are_unreadable(self):
        for name in SECRETS:
            self.put_home(name, "SECRET %s\n" % name)
        paths = [os.path.join(self.home, n) for n in SECRETS]
        self.assertEqual(len(SECRETS), self.native("cat", *paths).out.count("SECRET"))
        script = ('cat "$@"; for f; do cat <"$f"; cp "$f" copy; ln "$f" l; ln -sf "$f" s; cat s; mv "$f" m; done\n'
                  'cat copy l m')
        r = self.sluice("sh", "-c", script, "sh", *paths, policy="build")
        self.assertNotIn("SECRET", r.out, r)
        self.assertEqual(["s"], os.listdir(self.dir))
        for path in paths:
            self.assertEqual(1, os.stat(path).st_nlink, path)

    @case
    def what_starts_with_the_users_session_is_not_written(self):
        script = 'for f; do mkdir -p "$(dirname "$f")"; echo planted >>"$f"; echo planted >n; mv n "$f"; done'
        paths = [os.path.join(self.home, n) for n in STARTERS]
        self.native("sh", "-c", script, "sh", *paths)
        self.assertTrue(all(map(os.path.exists, paths)), "the control")
        shutil.rmtree(self.home)
        os.mkdir(self.home)
        self.put_home(".bashrc", "mine\n")
        r = self.sluice("sh", "-c", script, "sh", *paths, policy="build")
        self.assertEqual([paths[0]], [p for p in paths if os.path.lexists(p)], r)
        with open(paths[0], encoding="utf-8") as f:
            self.assertEqual("mine\n", f.read())

    @case
    def what_others_obey_in_the_project_is_not_written(self):
        script = 'for f; do mkdir -p "$(dirname "$f")"; echo planted >>"$f"; echo planted >n; mv n "$f"; done'
        in_dir = [os.path.join(self.dir, n) for n in OBEYED]
        self.native("sh", "-c", script, "sh", *OBEYED)
        self.assertTrue(all(map(os.path.exists, in_dir)), "the control")
        shutil.rmtree(self.dir)
        os.mkdir(self.dir)
        self.put(".vscode/settings.json", "mine\n")
        r = self.sluice("sh", "-c", script, "sh", *OBEYED, policy="build")
        self.assertEqual([p for p in in_dir if os.path.lexists(p)], in_dir[:1], r)
        with open(in_dir[0], encoding="utf-8") as f:
            self.assertEqual(f.read(), "mine\n")
        self.shell("mkdir objects refs; echo ref: refs/heads/x >HEAD; printf '[core]\\nbare=false\\nworktree=.\\n' >config")
        self.assertNotEqual(self.native("git", "rev-parse", "--git-dir").out, self.dir + "\n")

    def home_but_for_sockets(self):
        """Without $XDG_RUNTIME_DIR those of sluice are in ~/.config."""
        return {k: v for k, v in tree_of(self.home).items() if k != "." and not k.startswith(".config")}

    @case
    def links_that_a_run_leaves_are_not_followed_by_the_next(self):
        for root in ROOTS:
            for lead in LEADS:
                shutil.rmtree(self.home)
                os.mkdir(self.home)
                self.put_home(".bashrc", "mine\n")
                self.put_home(".ssh/id", "secret\n")
                to, at = os.path.join(self.home, lead), os.path.join(self.home, root)
                plant = 'mkdir -p "${1%%/*}"; ln -s %s "$1"' % to
                script = ('echo evil >>"$1"; echo evil >>"$1/.bashrc"; echo evil >>"$1/authorized_keys"; cat "$1/id"; '
                          'mkdir -p "$1/.config/autostart"; echo evil >"$1%s/.config/autostart/x"'
                          % (self.home if lead == "/" else ""))
                if root == ROOTS[0] and lead == "":
                    self.native("sh", "-c", plant + ";" + script, "sh", at)
                    with open(os.path.join(self.home, ".bashrc"), encoding="utf-8") as f:
                        self.assertIn("evil", f.read(), "the control")
                    os.unlink(at)
                    shutil.rmtree(os.path.join(self.home, ".config"))
                    self.put_home(".bashrc", "mine\n")
                self.shell('mkdir -p "$(dirname "%s")"; ln -s "%s" "%s"' % (at, to, at))
                if not os.path.islink(at):
                    os.makedirs(os.path.dirname(at), exist_ok=True)
                    os.symlink(to, at)
                before = self.home_but_for_sockets()
                r = self.sluice("sh", "-c", script, "sh", at, policy="build")
                self.assertEqual(self.home_but_for_sockets(), before, r)
                self.assertFalse(os.path.exists(os.path.join(self.home, ".config/autostart")))
                self.assertNotIn("secret", r.out, r)

    @case
    def what_the_user_allows_by_a_link_in_the_project_is_an_error(self):
        self.put_home(".ssh/id", "secret\n")
        self.shell("ln -s ~/.ssh out; mkdir real")
        for what in ("out", "out/id", "out/*"):
            r = self.sluice("cat", "out/id", policy="build", options=["--allow", "rw:" + what])
            self.assert_status(r, 125)
            self.assertIn("by the link %s/out, which the command could have put there" % self.dir, r.err)
        self.assert_status(self.sluice("cat", "out/id", policy="build", options=["--allow", "rw:~/.ssh"]), 0)
        self.assert_status(self.sluice("true", policy="build", options=["--allow", "rw:real"]), 0)

    @case
    def links_that_lead_to_what_is_allowed_are_no_error(self):
        self.shell("mkdir real; ln -s real out")
        r = self.sluice("sh", "-c", "echo x >out/f", policy="build", options=["--allow", "rw:out"])
        self.assert_status(r, 0)
        self.assertEqual(r.err, "")

    @case
    def the_home_and_what_is_above_are_no_project(self):
        for where in (self.home, self.root, "/"):
            r = self.sluice("touch", "ran", policy="build", cwd=where)
            self.assert_status(r, 125)
            self.assertIn("-p base --allow all:", r.err)
        self.assertEqual([], os.listdir(self.home))

    # The environment ----------------------------------------------------------------------------

    SENT = {"SLUICE_SOCKET": "no", "SLUICE_X": "no", "GITHUB_TOKEN": "no", "NPM_TOKEN": "no", "MY_API_KEY": "no",
            "AWS_SECRET_ACCESS_KEY": "no", "DB_PASSWORD": "no", "CC": "cc", "EDITOR": "vi"}

    @case
    def tokens_are_gone_from_the_environment(self):
        r = self.shell("env; tr '\\0' '\\n' </proc/self/environ; tr '\\0' '\\n' </proc/$PPID/environ", env=self.SENT)
        self.assertNotIn("=no\n", r.out, r)
        self.assertEqual(2, r.out.count("CC=cc\n"), r)
        self.assertIn("EDITOR=vi\n", r.out)

    @case
    def control_the_parents_environment_is_readable_without_sluice(self):
        r = self.native("sh", "-c", "sh -c \"tr '\\\\0' '\\\\n' </proc/\\$PPID/environ\"; exit", env=self.SENT)
        self.assertIn("GITHUB_TOKEN=no\n", r.out)

    @case
    def the_user_may_keep_one(self):
        r = self.shell("env", policy=["build", "env keep GITHUB_TOKEN SLUICE_X\n"], env=self.SENT)
        self.assertIn("GITHUB_TOKEN=no\n", r.out)
        self.assertNotIn("NPM_TOKEN", r.out)
        self.assertNotIn("SLUICE_", r.out)

    # The directory for temporary files ----------------------------------------------------------

    def private_dirs(self):
        return sorted(n for n in os.listdir(os.path.join(self.root, "tmp")) if n.startswith("sluice."))

    def tmp(self, script, **how):
        parent = os.path.join(self.root, "tmp")
        os.makedirs(parent, exist_ok=True)
        r = self.shell(script, env={"TMPDIR": parent}, **how)
        self.assertEqual([], self.private_dirs(), r)
        return r

    @case
    def temporary_files_are_private_and_go_with_the_run(self):
        r = self.tmp("echo $TMPDIR; stat -c %a $TMPDIR; echo x >$TMPDIR/f && cat $TMPDIR/f\n"
                     "mktemp >/dev/null && echo made")
        where, *rest = r.out.splitlines()
        self.assertEqual(["700", "x", "made"], rest, r)
        self.assertEqual(os.path.join(self.root, "tmp"), os.path.dirname(where))

    @case
    def others_temporary_files_are_out_of_reach(self):
        other = os.path.join(self.root, "tmp/of-another")
        os.mkdir(os.path.dirname(other))
        with open(other, "w", encoding="utf-8") as f:
            f.write("SECRET\n")
        r = self.tmp("cat %s; ls ${TMPDIR%%/*}; echo x >>%s; rm %s; echo x >${TMPDIR%%/*}/new" % (other, other, other))
        self.assertEqual("", r.out, r)
        self.assertEqual(["of-another"], os.listdir(os.path.dirname(other)))

    @case
    def directories_without_permissions_are_removed(self):
        r = self.tmp("cd $TMPDIR; mkdir -p a/b/c d/e; echo x >a/b/c/f; echo x >d/f; chmod 400 a/b/c/f; chmod 0 a/b/c; "
                     "chmod 0 a/b a; chmod 500 d; chmod 0 d/e; chmod 100 .; echo done")
        self.assertEqual("done\n", r.out, r)

    @case
    def deep_directories_are_removed(self):
        """Deeper than there may be descriptors, and than a path may be long."""
        parent = os.path.join(self.root, "tmp")
        os.mkdir(parent)
        script = ("import os\nos.chdir(os.environ['TMPDIR'])\nn = 0\n"
                  "try:\n"
                  "    for n in range(3000): os.mkdir('d'); open('f', 'w'); os.mkdir('deep.%d' % n); os.chdir('d')\n"
                  "except OSError: pass\n"
                  "print('done' if n > 1500 else n)")
        argv = self.sluice_argv("python3", "-c", script, policy="build")
        r = self.native("prlimit", "--nofile=200:200", *argv, env={"TMPDIR": parent})
        self.assertEqual("done\n", r.out, r)
        self.assertEqual([], self.private_dirs(), r)

    @case
    def removal_follows_no_link(self):
        victim = os.path.join(self.root, "victim")
        os.mkdir(victim)
        with open(os.path.join(victim, "f"), "w", encoding="utf-8") as f:
            f.write("x")
        self.put("own/f", "x")
        self.tmp("cd $TMPDIR; ln -s {0} l; ln -s {1}/own o; ln {1}/own/f h; ln -s . self".format(victim, self.dir))
        self.assertEqual(["f"], os.listdir(victim))
        self.assertEqual(["f"], os.listdir(os.path.join(self.dir, "own")))

    @case
    def it_goes_too_when_the_run_is_ended(self):
        parent = os.path.join(self.root, "tmp")
        os.makedirs(parent)
        process = self.start(self.sluice_argv("sh", "-c", "mkdir -p $TMPDIR/a/b; chmod 0 $TMPDIR/a; sleep 60",
                                              policy="build"), env={"TMPDIR": parent})
        self.addCleanup(self.kill_session, process)
        self.wait_for("the directory",
                      lambda: any(os.path.exists("%s/%s/a" % (parent, n)) for n in self.private_dirs()))
        process.terminate()
        process.communicate(timeout=10)
        self.assertEqual([], self.private_dirs())

    # Terminals ----------------------------------------------------------------------------------

    def terminal(self):
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        os.set_blocking(master, False)
        return master, os.ttyname(slave)

    def came_out(self, master):
        time.sleep(0.1)
        try:
            return os.read(master, 1000)
        except BlockingIOError:
            return b""

    @case
    def other_terminals_of_the_user_are_out_of_reach(self):
        master, name = self.terminal()
        script = ("echo injected >{0}; (exec 3<>{0} && echo opened); (read x <{0}; echo read $x)\n"
                  "ln -s {0} link; echo injected >link; echo injected >/proc/$PPID/fd/0\n").format(name)
        os.write(master, b"typed\n")
        r = self.native("sh", "-c", script)
        self.assertIn("opened\nread typed", r.out, "the control")
        self.assertIn(b"injected", self.came_out(master), "the control")
        os.unlink(os.path.join(self.dir, "link"))
        os.write(master, b"typed\n")
        self.came_out(master)
        r = self.shell(script)
        self.assertNotIn("opened", r.out, r)
        self.assertNotIn("typed", r.out, r)
        self.assertNotIn(b"injected", self.came_out(master))

    @case
    def other_terminals_are_not_had_by_a_race(self):
        """The kernel must not be let open them: the name may be another one by then."""
        master, name = self.terminal()
        argv = ["/usr/bin/python3", "-c", FLIP, name]
        self.assertIn("opened", self.native(*argv).out, "the control")
        self.assert_status(self.native("sh", "-c", ": <" + name), 0)
        for options in ([], ["--gate", "on"]) if LAYERS == "auto" else ([],):
            r = self.sluice(*argv, options=options)
            self.assertIn("tried", r.out, r)
            self.assertNotIn("opened", r.out, r)
            self.assert_status(self.sluice("sh", "-c", ": <" + name, options=options), 2)
        self.assertEqual(self.came_out(master), b"")

    def attempts_on_terminals(self, policy=None):
        """A terminal of the command's own; its number in another's hands, with other new ones; its own again."""
        argv = ["/usr/bin/python3", "-c", TERMINALS]
        process = self.start(self.sluice_argv(*argv, policy=policy) if policy else argv, stdin=subprocess.PIPE)
        self.addCleanup(self.kill_session, process)
        name, own = process.stdout.readline().split()
        others = []
        while name not in [os.ttyname(s) for _, s in others] and len(others) < 50:
            others.append(pty.openpty())
        os.set_blocking(others[-1][0], False)
        process.stdin.write(" ".join(os.ttyname(s) for _, s in others) + "\n")
        process.stdin.flush()
        seen = set(process.stdout.readline().split())
        came = self.came_out(others[-1][0])
        for fd in sum(others, ()):
            os.close(fd)
        out, err = process.communicate(name + "\n", timeout=20)
        self.assertLess(len(others), 50, "nobody else got the number")
        return own, seen, came, out.strip(), err

    @case
    def terminals_opened_later_are_out_of_reach(self):
        native = self.attempts_on_terminals()
        self.assertEqual(("opened", {"opened"}, b"injected", "opened"), native[:4], "the control")
        for policy in ("build", "include build\nreport none\n"):
            seen = self.attempts_on_terminals(policy)
            self.assertEqual(("opened", {"refused"}, b"", "opened"), seen[:4], seen[4])

    @case
    def a_terminal_that_the_command_makes_is_its_own(self):
        script = ("import os, pty\nm, s = pty.openpty()\nfd = os.open(os.ttyname(s), os.O_RDWR | os.O_NOCTTY)\n"
                  "os.write(fd, b'through')\nprint(os.read(m, 100))\n"
                  "pid, m = pty.fork()\n"
                  "if pid == 0: os.write(os.open('/dev/tty', os.O_RDWR), b'own'); os._exit(0)\n"
                  "print(os.read(m, 100))\n")
        r = self.sluice("python3", "-c", script, policy="build")
        self.assertEqual("b'through'\nb'own'\n", r.out, r)

    @case
    def the_command_is_first_to_be_killed_for_memory(self):
        script = "cd /proc/self; echo 200 >oom_score_adj; echo 0 >oom_score_adj; cat oom_score_adj"
        self.assertEqual("0\n", self.native("sh", "-c", script).out, "the control")
        self.assertGreaterEqual(int(self.shell(script).out), 100)

    @case
    def queues_of_other_programs_are_out_of_reach(self):
        # mq_open (O_RDWR | O_CREAT | O_NONBLOCK), mq_timedsend, mq_timedreceive, mq_unlink
        begin = ("import ctypes\nc, b = ctypes.CDLL(None).syscall, ctypes.create_string_buffer(8192)\nname = %r\n"
                 "q = c(240, name, 0o4102, 0o600, None)\n" % ("sluice-test%d" % os.getpid()).encode())
        put = ["/usr/bin/python3", "-c", begin + "c(242, q, b'SECRET', 6, 0, None)"]
        take = ["/usr/bin/python3", "-c", begin + "c(243, q, b, 8192, None, None)\nprint(b.value, c(241, name))"]
        self.native(*put)
        if self.native(*take).out != "b'SECRET' 0\n":
            self.skip("no queues here")
        self.native(*put)
        self.assertEqual("b'' -1\n", self.sluice(*take, policy="build").out)
        self.assertEqual("b'SECRET' 0\n", self.native(*take).out)

    @case
    def the_terminal_of_the_run_is_the_commands(self):
        master, slave = pty.openpty()
        argv = self.sluice_argv("sh", "-c", "t=$(tty); echo by name >$t; echo by tty >/dev/tty; stty -a | head -c 5",
                                policy="build")
        process = subprocess.Popen(["setsid", "-c", "-w"] + argv, stdin=slave, stdout=slave, stderr=slave, cwd=self.dir,
                                   env=self.environment())
        self.addCleanup(os.close, master)
        os.close(slave)
        seen = b""
        with contextlib.suppress(OSError):
            while chunk := os.read(master, 4096):
                seen += chunk
        process.wait(timeout=20)
        for want in (b"by name", b"by tty", b"speed"):
            self.assertIn(want, seen)


add_cases(Build, PLANTS, lambda self, n: self.keeps_out(PLANTS[n], False), "git_keeps_out_")
add_cases(Build, WORKTREE_PLANTS, lambda self, n: self.keeps_out_of_the_worktree(WORKTREE_PLANTS[n]),
          "git_of_a_worktree_keeps_out_")
add_cases(Build, FRESH_PLANTS, lambda self, n: self.keeps_out(FRESH_PLANTS[n], True),
          "where_no_repository_is_keeps_out_")
