# SPDX-License-Identifier: Apache-2.0
"""Real builds: C, C++, a kernel, configure, and the package managers.

Each has two steps that are not timed: `fetch` fills a directory of the cache once (from the package sources
that this machine is set up for) and `lay` makes a fresh tree for each sample. What is timed needs no network.
"""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys

from suite.measure import Broken, tail, timed_by_hyperfine
from suite.storms import Benchmark
from suite.ways import OTHER_NAMES, SLUICE_NAMES, WAYS, Absent, Spec, quoted

_PARTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Beside bench/ in the source tree, beside suite/ where it is installed.
SCRIPTS = next((d for d in (os.path.join(_PARTS, "scripts"), os.path.join(os.path.dirname(_PARTS), "scripts"))
                if os.path.exists(os.path.join(d, "debian_source.py"))), "scripts")


def load_script(name):
    """A module of scripts/: recipes and the fetching of Debian's sources are there already."""
    path = os.path.join(SCRIPTS, name)
    if not os.path.exists(path):
        raise Absent("there is no %s" % path)
    if SCRIPTS not in sys.path:
        sys.path.insert(0, SCRIPTS)
    module_name = name.replace("-", "_").replace(".py", "")
    loader = importlib.machinery.SourceFileLoader(module_name, path)
    spec = importlib.util.spec_from_loader(loader.name, loader)
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def quiet(argv, cwd, env=None):
    """An untimed step. Absent, with the end of what it said, if it fails."""
    try:
        p = subprocess.run(argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, timeout=1800, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Absent("%s: %s" % (argv[0], e)) from None
    if p.returncode != 0:
        raise Absent("%s ended with status %d: %s" % (" ".join(argv[:3]), p.returncode,
                                                      tail(p.stdout.decode(errors="replace"), 400)))


class Build(Benchmark):
    unit = "s"
    # With bare only one way to reply; Landlock's launcher grants what the policy `build` does.
    ways = ["native", "landlock", "bare", "bare-look", "bare-landlock"] + SLUICE_NAMES + OTHER_NAMES
    bases = ("native", "bare", "landlock")
    rounds, guess_s = 5, 20.0
    spec = Spec("build")
    tools = ("hyperfine", "gcc", "make")
    program = None    # that it needs, and is no matter of packages
    packages = ()     # Debian packages that it needs
    makes = ""        # a file that must be there afterwards
    script = ""
    timeout = 3600.0

    def amount(self, ctx):
        return ctx.jobs if "{jobs}" in self.script else 1

    def cached(self, ctx):
        return os.path.join(ctx.cache, self.name)

    def look_up(self):
        """What it needs. Absent if that can't be had."""
        if self.program and not shutil.which(self.program):
            raise Absent("%s is not installed" % self.program)

    def needs(self, ctx):
        self.look_up()
        missing = load_script("debian_source.py").missing_packages(*self.packages) if self.packages else ()
        if missing:
            yield "installs " + " ".join(missing)
        if not os.path.exists(os.path.join(self.cached(ctx), ".ready")):
            yield "fetches into " + self.cached(ctx)

    def prepare(self, ctx):
        self.look_up()
        where = self.cached(ctx)
        ready = os.path.join(where, ".ready")
        if self.packages:
            debian = load_script("debian_source.py")
            try:
                debian.need_packages(*self.packages)
            except debian.Unavailable as e:
                raise Absent(str(e)) from None
        if not os.path.exists(ready):
            shutil.rmtree(where, ignore_errors=True)
            os.makedirs(where)
            self.fetch(ctx, where)
            with open(ready, "w", encoding="utf-8"):
                pass
        self.where = os.path.join(ctx.work, self.name)

    def fetch(self, ctx, where):
        """Fill the cache."""

    def lay(self, ctx, cached, where):
        shutil.copytree(cached, where, symlinks=True, ignore=shutil.ignore_patterns(".ready"))

    def environment(self, ctx):
        return dict(os.environ, SOURCE_DATE_EPOCH="1700000000", LC_ALL="C")

    def sample(self, ctx, way):
        shutil.rmtree(self.where, ignore_errors=True)
        self.lay(ctx, self.cached(ctx), self.where)
        argv = [*WAYS[way].prefix(ctx.place, self.spec, self.where), "sh", "-ec",
                self.script.format(jobs=ctx.jobs, cache=self.cached(ctx))]
        try:
            seconds, _ = timed_by_hyperfine(argv, self.where, ctx.work, self.environment(ctx), self.timeout)
            if self.makes and not os.path.exists(os.path.join(self.where, self.makes)):
                raise Broken("there is no %s at its end" % self.makes)
        except Broken as e:
            # What the policy allows beside .git, one of whose names it refuses, is more than Landlock can tell.
            if way in ("landlock", "bare-landlock") and "denied" in str(e):
                raise Absent("needs new names where Landlock alone can't allow them: " + str(e)[-200:]) from None
            raise
        finally:
            shutil.rmtree(self.where, ignore_errors=True)
        return dict(seconds, value=seconds["wall_s"])


class DebianBuild(Build):
    source = ""

    def fetch(self, ctx, where):
        debian = load_script("debian_source.py")
        try:
            debian.need_packages("dpkg-dev")
            dsc = debian.fetch([self.source], where)[self.source]
        except debian.Unavailable as e:
            raise Absent(str(e)) from None
        os.rename(dsc, os.path.join(where, self.source + ".dsc"))
        shutil.rmtree(os.path.join(where, "apt"), ignore_errors=True)

    def lay(self, ctx, cached, where):
        load_script("debian_source.py").unpack(os.path.join(cached, self.source + ".dsc"), where)


class Recipe(DebianBuild):
    """One of scripts/real-builds, which knows how."""

    def look_up(self):
        script, packages, makes = load_script("real-builds").BUILDS[self.source]
        self.script = script
        self.packages = ("dpkg-dev", "gcc", "make", *packages)
        self.makes = makes


class Lua(Recipe):
    name = "lua"
    title, source, guess_s = "lua 5.4, with libtool", "lua5.4", 15.0


class LuaByLandlock(Recipe):
    """The same by rules that Landlock carries: what sluice costs that has nothing to do. (The build policy names
    caches that may not be there yet, /proc and terminals, which only the supervisor can open.)"""

    name = "lua-landlock"
    title, source, guess_s = "lua 5.4, by rules that Landlock alone carries", "lua5.4", 15.0
    ways = ["native", "landlock", "sluice-none"]
    policy = """\
allow rx /usr /bin /sbin /lib /lib64
allow ro /etc
allow rw /dev/null
allow read /dev/zero /dev/urandom
allow all $PWD $TMPDIR
allow list,meta,connect /
"""

    def cached(self, ctx):
        return os.path.join(ctx.cache, Lua.name)

    def prepare(self, ctx):
        super().prepare(ctx)
        path = os.path.join(ctx.work, self.name + ".policy")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.policy)
        self.spec = Spec(path)


class Git(Recipe):
    name = "git"
    title, source, guess_s = "git, make -j", "git", 90.0


class Configure(DebianBuild):
    name = "configure"
    title, source = "configure of jemalloc", "jemalloc"
    packages = ("dpkg-dev", "gcc", "g++", "make", "autoconf")
    makes, guess_s = "src-of-build/Makefile", 12.0
    script = "mkdir src-of-build; cd src-of-build; ../configure"

    def lay(self, ctx, cached, where):
        super().lay(ctx, cached, where)
        if not os.path.exists(os.path.join(where, "configure")):
            quiet(["autoconf"], where)


class Cxx(DebianBuild):
    name = "cxx"
    title, source = "jsoncpp (C++), make -j", "libjsoncpp"
    packages = ("dpkg-dev", "g++", "make", "cmake")
    makes, guess_s = "obj/lib", 10.0
    script = "make -C obj -j{jobs}"

    def lay(self, ctx, cached, where):
        super().lay(ctx, cached, where)
        quiet(["cmake", "-G", "Unix Makefiles", "-S", ".", "-B", "obj", "-DJSONCPP_WITH_TESTS=OFF",
               "-DJSONCPP_WITH_POST_BUILD_UNITTEST=OFF"], where)


class Linux(Build):
    name = "linux"
    title = "Linux, tinyconfig, make -j"
    packages = ("gcc", "make", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "xz-utils", "perl")
    makes, guess_s = "vmlinux", 200.0
    script = "make -s -j{jobs} vmlinux"

    def fetch(self, ctx, where):
        """The newest of Debian's own sources: the package is unpacked, not installed."""
        found = subprocess.run(["apt-cache", "depends", "linux-source"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
        names = [w for w in found.split() if w.startswith("linux-source-")]
        if not names:
            raise Absent("apt knows no linux-source: apt-get update first")
        quiet(["apt-get", "-qq", "download", names[0]], where)
        deb = next(f for f in os.listdir(where) if f.endswith(".deb"))
        quiet(["dpkg-deb", "-x", deb, "unpacked"], where)
        os.unlink(os.path.join(where, deb))
        # Unpacked anew for each sample: once without the compression is quicker.
        folder = os.path.join(where, "unpacked/usr/src")
        for name in os.listdir(folder):
            if name.endswith(".tar.xz"):
                quiet(["xz", "-d", name], folder)

    def lay(self, ctx, cached, where):
        folder = os.path.join(cached, "unpacked/usr/src")
        tar = next(f for f in os.listdir(folder) if f.startswith("linux-source") and ".tar" in f)
        os.makedirs(where)
        quiet(["tar", "-xf", os.path.join(folder, tar), "--strip-components=1"], where)
        quiet(["make", "-s", "tinyconfig"], where)


class Npm(Build):
    """npm's own cache is in ours; what is timed is npm ci without network."""

    name = program = "npm"
    title = "npm ci, from its cache"
    tools = ("hyperfine", "npm")
    makes, guess_s = "node_modules/eslint/package.json", 8.0
    wanted = ("eslint@8", "express@4", "lodash@4")
    script = "npm ci --offline --no-audit --no-fund --cache \"$PWD\"/npm-cache"

    def fetch(self, ctx, where):
        quiet(["npm", "init", "-y"], where)
        # With the addresses in the lock file npm ci asks for nothing but what is in its cache.
        quiet(["npm", "install", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved=false", "--cache",
               os.path.join(where, "npm-cache"), *self.wanted], where)
        shutil.rmtree(os.path.join(where, "node_modules"), ignore_errors=True)


class Cargo(Build):
    name = program = "cargo"
    title = "cargo build, vendored"
    tools = ("hyperfine", "cargo")
    makes, guess_s = "target/debug/measured", 30.0
    spec = Spec("build", ["--allow", "rx:~/.cargo", "--allow", "rx:~/.rustup"])
    script = "cargo build --offline -q -j{jobs}"

    def fetch(self, ctx, where):
        os.makedirs(os.path.join(where, "src"))
        with open(os.path.join(where, "Cargo.toml"), "w", encoding="utf-8") as f:
            f.write('[package]\nname = "measured"\nversion = "0.1.0"\nedition = "2018"\n\n[dependencies]\n'
                    'serde = { version = "1", features = ["derive"] }\nserde_json = "1"\nregex = "1"\n')
        with open(os.path.join(where, "src/main.rs"), "w", encoding="utf-8") as f:
            f.write("#[derive(serde::Serialize)]\nstruct S { x: u32 }\n"
                    "fn main() { println!(\"{} {}\", serde_json::to_string(&S { x: 1 }).unwrap(),\n"
                    "    regex::Regex::new(\"a+\").unwrap().is_match(\"caat\")); }\n")
        os.makedirs(os.path.join(where, ".cargo"))
        p = subprocess.run(["cargo", "vendor", "-q"], cwd=where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, check=False)
        if p.returncode != 0:
            raise Absent("cargo vendor ended with status %d" % p.returncode)
        with open(os.path.join(where, ".cargo/config.toml"), "w", encoding="utf-8") as f:
            f.write('[source.crates-io]\nreplace-with = "vendored-sources"\n[source.vendored-sources]\n'
                    'directory = "vendor"\n')

    def environment(self, ctx):
        return {k: v for k, v in super().environment(ctx).items() if not k.startswith("CARGO_")
                or k == "CARGO_HOME"}


class Go(Build):
    """The standard library is compiled too: its cache is fresh for each sample."""

    name = program = "go"
    title = "go build, from an empty cache"
    tools = ("hyperfine", "go")
    makes, guess_s = "measured", 30.0
    script = "go build -mod=vendor -p {jobs} -o measured ."

    def look_up(self):
        super().look_up()
        root = subprocess.run(["go", "env", "GOROOT"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip()
        self.spec = Spec("build", ["--allow", "rx:" + quoted(root)] if root else [])

    def fetch(self, ctx, where):
        with open(os.path.join(where, "main.go"), "w", encoding="utf-8") as f:
            f.write('package main\n\nimport (\n\t"encoding/json"\n\t"fmt"\n\t"net/http"\n\t"os"\n\n'
                    '\t"golang.org/x/text/language"\n)\n\nfunc main() {\n'
                    '\tb, _ := json.Marshal(http.Header{"a": {"b"}})\n'
                    '\tfmt.Fprintln(os.Stdout, string(b), language.German)\n}\n')
        env = dict(os.environ, GOFLAGS="-mod=mod", GOPATH=os.path.join(ctx.work, "gopath"))
        quiet(["go", "mod", "init", "measured"], where, env)
        quiet(["go", "get", "golang.org/x/text/language"], where, env)
        quiet(["go", "mod", "tidy"], where, env)
        quiet(["go", "mod", "vendor"], where, dict(env, GOFLAGS=""))
        quiet(["go", "clean", "-modcache"], where, env)

    def environment(self, ctx):
        here = self.where
        return dict(super().environment(ctx), GOCACHE=os.path.join(here, "go-cache"), GOFLAGS="", GOPROXY="off",
                    GOPATH=os.path.join(here, "gopath"), GOTOOLCHAIN="local", GOTELEMETRY="off",
                    GOENV="off", CGO_ENABLED="0")


class Pip(Build):
    name = "pip"
    title = "pip install, from wheels"
    tools = ("hyperfine", "pip")
    makes, guess_s = "site/requests/__init__.py", 6.0
    wanted = ("requests", "flask", "sqlalchemy", "rich")
    # The system's own Python: what a version manager keeps below the home directory is not the policy's matter.
    script = ("venv/bin/python -m pip -q install --disable-pip-version-check --no-index --no-cache-dir"
              " --find-links wheels --target site " + " ".join(wanted))

    packages = ("python3-venv",)

    def fetch(self, ctx, where):
        quiet(["/usr/bin/python3", "-m", "venv", "venv"], where)
        quiet(["venv/bin/python", "-m", "pip", "-q", "download", "--disable-pip-version-check", "-d", "wheels",
               "--only-binary=:all:", *self.wanted], where)

    def lay(self, ctx, cached, where):
        super().lay(ctx, cached, where)
        shutil.rmtree(os.path.join(where, "venv"))
        quiet(["/usr/bin/python3", "-m", "venv", "venv"], where)


BUILDS = [Configure, Lua, LuaByLandlock, Git, Cxx, Linux, Npm, Cargo, Go, Pip]
