# SPDX-License-Identifier: Apache-2.0
"""Debian source packages, as the machine's own package sources offer them. For the scripts here.

A machine's sources often list binaries only. This derives source entries from them, privately: nothing
of apt's own state is touched, no root is needed. Addresses of the sources are nobody's business and are
kept out of messages.
"""

import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Unavailable(Exception):
    pass


def need_packages(*names):
    """Install what is missing, by the shell's need_packages."""
    if subprocess.run(["bash", "-c", '. "$0"/lib.sh; need_packages "$@"', HERE, *names],
                      stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise Unavailable("packages are missing: " + " ".join(names))


def missing_packages(*names):
    """Those that are not installed; all of them where there is no dpkg."""
    try:
        p = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *names],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                           check=False)
    except FileNotFoundError:
        return list(names)
    return [n for n in names if n + " installed" not in p.stdout.splitlines()]


def _entries():
    """(name, text) of files with source entries derived from the configured binary ones."""
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        yield "%s.sources" % len(path), re.sub(r"(?mi)^Types:.*$", "Types: deb-src", text)
    for path in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*.list")):
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                lines = [re.sub(r"^\s*deb\s", "deb-src ", line) for line in f if re.match(r"\s*deb\s", line)]
            yield os.path.basename(path), "".join(lines)


def _hide_hosts(text):
    return re.sub(r"(\w+://)[^/\s]+", r"\1...", text)


def fetch(packages, into):
    """Download the source packages into the directory INTO; {package: path of its .dsc}."""
    apt = os.path.join(into, "apt")
    for d in ("parts", "lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(apt, d), exist_ok=True)
    for i, (name, text) in enumerate(_entries()):
        # Sources of others than Debian seldom have source packages; one that fails must not stop the rest.
        if "debian" in text:
            with open(os.path.join(apt, "parts", "%d-%s" % (i, name)), "w", encoding="utf-8") as f:
                f.write(text)
    options = []
    for o in ("Dir::Etc::sourcelist=/dev/null", "Dir::Etc::sourceparts=%s/parts" % apt,
              "Dir::State::lists=%s/lists" % apt, "Dir::Cache=%s/cache" % apt, "APT::Sandbox::User=",
              "Acquire::Languages=none", "Acquire::Retries=3"):
        options += ["-o", o]
    for command in (["update", "-qq"], ["source", "-qq", "--download-only"] + list(packages)):
        p = subprocess.run(["apt-get"] + options + command, cwd=into, stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        if p.returncode != 0:
            raise Unavailable("apt-get %s: %s" % (command[0], _hide_hosts(p.stdout.strip())[-500:]))
    found = {}
    for package in packages:
        dsc = glob.glob(os.path.join(into, package + "_*.dsc"))
        if len(dsc) != 1:
            raise Unavailable("no source package %s" % package)
        found[package] = dsc[0]
    return found


def unpack(dsc, where):
    p = subprocess.run(["dpkg-source", "--no-check", "-x", dsc, where], stdin=subprocess.DEVNULL, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if p.returncode != 0:
        sys.exit("dpkg-source: " + p.stdout)
