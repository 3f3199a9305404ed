# SPDX-License-Identifier: Apache-2.0
"""What a result has to say of the machine, and how quiet that was. No name or address of it is kept."""

import gzip
import hashlib
import os
import platform
import re
import shutil
import subprocess

SWITCHES = re.compile(
    r"^(?:# )?CONFIG_(PREEMPT\w*|HZ|HZ_\d+|NO_HZ\w*|SECCOMP\w*|SECURITY_LANDLOCK|LSM|IO_URING|USERFAULTFD|"
    r"DEBUG_(?:LOCK_ALLOC|PAGEALLOC|VM|KERNEL|LIST|PREEMPT|SPINLOCK|MUTEXES)|PROVE_LOCKING|KASAN|KCSAN|UBSAN|KFENCE|LOCKDEP|"
    r"SLUB_DEBUG\w*|(?:MITIGATION_)?PAGE_TABLE_ISOLATION|(?:MITIGATION_)?RETPOLINE|(?:CPU_|MITIGATION_)\w*(?:IBRS|UNRET|SRSO)\w*|"
    r"SPECULATION_MITIGATIONS|CPU_MITIGATIONS|SCHED_(?:CORE|AUTOGROUP|MC|SMT|CLASS_EXT)|CGROUPS|AUDITSYSCALL|"
    r"TRANSPARENT_HUGEPAGE\w*|PARAVIRT\w*|HALTPOLL_CPUIDLE|CPU_IDLE_GOV_\w+|CC_VERSION_TEXT)"
    r"(?:=(.*)| is not set)$", re.M)
# Of the kernel's command line only what changes speed: the rest may tell of the machine.
BOOT_WORDS = re.compile(r"^(mitigations|preempt|nohz|nohz_full|isolcpus|idle|audit|threadirqs|lsm|spec\w*|nopti|"
                        r"pti|nosmt|init_on_alloc|init_on_free|slub_debug|intel_idle\S*|processor\.\S*|clocksource|"
                        r"tsc|transparent_hugepage|cpuidle\S*|no-steal-acc|kfence\S*|page_poison\w*)(=|$)")


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read().strip()
    except OSError:
        return None


def _config():
    try:
        with gzip.open("/proc/config.gz", "rt", errors="replace") as f:
            text = f.read()
    except OSError:
        text = read("/boot/config-" + platform.release())
    if text is None:
        return None
    return {m[1]: (m[2] or "n").strip('"') if m[2] is not None else "n" for m in SWITCHES.finditer(text)}


def _folder(path):
    try:
        names = sorted(os.listdir(path))
    except OSError:
        return None
    return {n: read(os.path.join(path, n)) for n in names}


def _chosen(text):
    """ "[a] b c" -> "a" """
    m = re.search(r"\[(\S+)\]", text or "")
    return m[1] if m else text


def digest(path):
    """The first 16 digits of its SHA-256; None if it can't be read."""
    try:
        with open(path, "rb") as f:
            return hashlib.sha256(f.read()).hexdigest()[:16]
    except OSError:
        return None


def lines_of(argv):
    """What it prints; nothing if it fails."""
    try:
        p = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return p.stdout.decode(errors="replace").strip().splitlines() if p.returncode == 0 else []


def first_line(argv):
    lines = lines_of(argv)
    return lines[0][:120] if lines else None


def facts():
    cpuinfo = read("/proc/cpuinfo") or ""
    model = re.search(r"model name\s*:\s*(.*)", cpuinfo)
    memory = re.search(r"MemTotal:\s*(\d+)", read("/proc/meminfo") or "")
    cpu0 = "/sys/devices/system/cpu/cpu0/cpufreq/"
    return {
        "kernel": platform.release(),
        "kernel_build": platform.version(),
        "machine": platform.machine(),
        "cpu": model[1] if model else "unknown",
        "cpus": len(os.sched_getaffinity(0)),
        "virtual": "hypervisor" in cpuinfo,
        "memory_kib": int(memory[1]) if memory else None,
        "governor": read(cpu0 + "scaling_governor"),
        "frequency_driver": read(cpu0 + "scaling_driver"),
        "smt": read("/sys/devices/system/cpu/smt/active"),
        "idle_driver": read("/sys/devices/system/cpu/cpuidle/current_driver"),
        "idle_governor": read("/sys/devices/system/cpu/cpuidle/current_governor"),
        "clocksource": read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        "huge_pages": _chosen(read("/sys/kernel/mm/transparent_hugepage/enabled")),
        "lsm": read("/sys/kernel/security/lsm"),
        "mitigations": _folder("/sys/devices/system/cpu/vulnerabilities"),
        "boot": [w for w in (read("/proc/cmdline") or "").split() if BOOT_WORDS.match(w)],
        "config": _config(),
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
    }


def version_of(argv):
    if argv[0] == "proot":  # at the end of a banner
        found = re.search(r"\d+\.\d[\d.]*", " ".join(lines_of(argv)))
        return found and "proot " + found[0]
    return first_line(argv)


def tool_versions(names):
    """{name: version} of those that are installed."""
    words = {"go": ["go", "version"], "pip": ["python3", "-m", "pip", "--version"]}
    found = {}
    for name in sorted(names):
        argv = words.get(name, [name, "--version"])
        if shutil.which(argv[0]):
            # pip tells where it lies, which is nobody's business.
            found[name] = re.sub(r" from /\S+", "", version_of(argv) or "unknown")
    return found


TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """Of a process that lives."""
    fields = (read("/proc/%d/stat" % pid) or "").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK if fields else 0.0


class Activity:
    """Who else used the CPUs between two looks: all busy time but ours, and that of PIDS, which live on. In CPU
    seconds."""

    def __init__(self, pids=()):
        self.pids = pids
        self.before = self._look()

    def _look(self):
        text = (read("/proc/stat") or "cpu 0 0 0 0 0 0 0 0").split("\n")[0].split()[1:]
        n = [int(x) / TICK for x in text[:8]]
        t = os.times()
        ours = t.user + t.system + t.children_user + t.children_system + sum(map(cpu_seconds, self.pids))
        # user + nice + system + irq + softirq; steal apart
        return n[0] + n[1] + n[2] + n[5] + n[6], n[7], ours, os.times().elapsed

    def since(self):
        """{seconds, others: CPU seconds of others, stolen} since this was made. Ticks are coarse: others may be below
        zero, and only the sum of many is a figure."""
        now = self._look()
        busy, stolen, ours, elapsed = (now[i] - self.before[i] for i in range(4))
        return {"seconds": elapsed, "others": busy - ours, "stolen": stolen}
