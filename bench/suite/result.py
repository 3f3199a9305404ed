# SPDX-License-Identifier: Apache-2.0
"""The JSON of a run: written whole or not at all, read with suspicion.

{"format": "sluice-bench", "version": 1, ...}; bench/README.md has the schema. A reader takes what has its
version; new members may be added without a new one.
"""

import contextlib
import errno
import json
import math
import os
import re

from suite import stats

FORMAT, VERSION = "sluice-bench", 1


class Bad(Exception):
    """A file that is no result; says which and why."""


def is_stream(path):
    """Stdout ("-"), or what is there and no file, as a pipe or a device: it is written to, not replaced."""
    return path == "-" or (os.path.exists(path) and not os.path.isfile(path))


def _part_of(path):
    """Beside the file that a link leads to: that one is replaced, not the link."""
    return os.path.realpath(path) + ".part"


def _open_new(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    return open(path, "x", encoding="utf-8")


def try_writing(path):
    """OSError if write() could not write there."""
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not is_stream(path):
        _open_new(_part_of(path)).close()
        os.unlink(_part_of(path))
    elif path != "-" and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def write(path, result):
    write_text(path, json.dumps(result, indent=1, allow_nan=False) + "\n")


def write_text(path, text):
    """A file as a whole: a reader (or a power cut) never sees half of it."""
    if is_stream(path):
        write_stream(path, text)
        return
    part = _part_of(path)
    try:
        with _open_new(part) as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(part, os.path.realpath(path))
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part)
        raise


def write_stream(path, text):
    """Into what is there, or a new file."""
    with open(1 if path == "-" else path, "w", encoding="utf-8", closefd=path != "-") as f:
        f.write(text)


def _must(path, condition, what):
    if not condition:
        raise Bad("%s: not a usable result of sluice-bench: %s" % (path, what))


def _is_number(x):
    return isinstance(x, (int, float)) and not isinstance(x, bool) and abs(x) < 1e30 and not math.isnan(x)


def _is_figure(x):
    """What can be drawn and divided by: nothing, or no less than a Planck time."""
    return _is_number(x) and (x == 0 or x > 1e-45)


def _is_size(x):
    return _is_figure(x) and x >= 0


def _is_ratio(x):
    """Its interval may be missing: there were too few rounds."""
    ends = [x.get("low"), x.get("high")] if isinstance(x, dict) else []
    return bool(ends) and _is_size(x.get("median")) and (ends == [None, None] or all(map(_is_size, ends)))


def _is_text(x):
    return isinstance(x, str)


def _is_plain(x):
    return x is None or isinstance(x, (str, bool)) or _is_number(x)


def _list_of(what):
    return lambda x: isinstance(x, list) and all(map(what, x))


def _dict_of(what):
    return lambda x: isinstance(x, dict) and all(map(what, x.values()))


def _is_load(x):
    return _list_of(_is_number)(x) and len(x) > 0


def _is_fact(x):
    return _is_plain(x) or _list_of(_is_plain)(x) or _dict_of(_is_plain)(x)


# Members that may be missing, or null; but what is there is what it should be. Others are nobody's.
MAY = {
    "label": _is_text, "started": _is_text, "ended": _is_text, "settings": lambda x: isinstance(x, dict),
    "versions": _dict_of(lambda x: x is None or _is_text(x)), "absent": _dict_of(_is_text),
    "load_before": _is_load, "load_after": _is_load, "noisy": _list_of(_is_text),
}
BENCHMARK_MAY = {"title": _is_text, "failed": _is_text, "noisy": _list_of(_is_text), "amount": _is_number,
                 "ratios": _dict_of(_dict_of(_is_ratio))}
WAY_MAY = {"title": _is_text, "failed": _is_text,
           **dict.fromkeys(("median_user_s", "median_sys_s", "median_supervisor_s"), _is_size)}
SAMPLE_MAY = dict.fromkeys(("user_s", "sys_s", "supervisor_s", "supervisor_rss_kib"), _is_size)


def _may(path, where, value, members):
    for key, fits in members.items():
        _must(path, value.get(key) is None or fits(value[key]), "%s%s is not what it should be" % (where, key))


def _check_way(path, where, way):
    _must(path, isinstance(way, dict), "%s is no object" % where)
    _may(path, where + ".", way, WAY_MAY)
    samples = way.get("samples", [])
    _must(path, isinstance(samples, list), "%s.samples is no list" % where)
    for i, s in enumerate(samples):
        at = "%s.samples[%d]" % (where, i)
        _must(path, isinstance(s, dict), "%s is no object" % at)
        _must(path, _is_size(s.get("value")), "%s.value is no number from 0 on" % at)
        _must(path, type(s.get("round")) is int, "%s.round is no whole number" % at)
        _may(path, at + ".", s, SAMPLE_MAY)


def check(path, r):
    _must(path, isinstance(r, dict), "the outermost value is no object")
    if r.get("format") != FORMAT:
        if "context" in r and "benchmarks" in r:
            raise Bad("%s: this is JSON of Google Benchmark, not of sluice-bench run" % path)
        if "results" in r and isinstance(r["results"], list):
            raise Bad("%s: this is JSON of hyperfine, not of sluice-bench run" % path)
        raise Bad("%s: JSON of something else: there is no \"format\": \"%s\"" % (path, FORMAT))
    version = r.get("version")
    _must(path, isinstance(version, int) and not isinstance(version, bool), "version is no whole number")
    if version > VERSION:
        raise Bad("%s: written by a newer sluice-bench (version %d of the format; this one reads %d)"
                  % (path, version, VERSION))
    _must(path, version == VERSION, "version %d of the format was never in use" % version)
    _must(path, isinstance(r.get("machine"), dict), "there is no machine")
    for key in ("kernel", "cpu"):
        _must(path, isinstance(r["machine"].get(key), str), "machine.%s is no text" % key)
    _must(path, all(map(_is_fact, r["machine"].values())), "machine has members that are no facts")
    config = r["machine"].get("config")
    _must(path, config is None or _dict_of(_is_text)(config), "machine.config is no list of switches")
    _may(path, "", r, MAY)
    _must(path, isinstance(r.get("benchmarks"), dict), "there are no benchmarks")
    for name, b in r["benchmarks"].items():
        where = "benchmarks[%s]" % json.dumps(name)
        _must(path, isinstance(b, dict), "%s is no object" % where)
        _may(path, where + ".", b, BENCHMARK_MAY)
        _must(path, isinstance(b.get("unit"), str), "%s.unit is no text" % where)
        _must(path, isinstance(b.get("ways"), dict), "%s.ways is no object" % where)
        for way, w in b["ways"].items():
            _check_way(path, "%s.ways[%s]" % (where, json.dumps(way)), w)
    return r


# What moves a terminal's cursor, or reorders what stands around it.
CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def printable(x):
    """X with nothing in its texts that a terminal acts on."""
    if isinstance(x, str):
        return CONTROL.sub(" ", x)
    return [printable(v) for v in x] if isinstance(x, list) else x


def typed(word):
    """A word of the command line, or a file's name, as text that can be written anywhere."""
    return printable(os.fsencode(word).decode("utf-8", "replace"))


def _object(pairs):
    """Of JSON: any text in it may be shown. KeyError if a key is there twice."""
    made = {}
    for key, value in pairs:
        key = printable(key)
        if key in made:
            raise KeyError(key)
        made[key] = printable(value)
    return made


def read(path):
    try:
        with open(path, "rb") as f:
            data = f.read()
    except OSError as e:
        raise Bad("%s: %s" % (path, e.strerror)) from None
    if not data.strip():
        raise Bad("%s: the file is empty" % path)
    try:
        r = json.loads(data.decode("utf-8"), object_pairs_hook=_object)
    except UnicodeDecodeError as e:
        raise Bad("%s: no JSON: byte %d is not UTF-8" % (path, e.start)) from None
    except json.JSONDecodeError as e:
        if e.pos >= len(data.decode("utf-8").rstrip()):
            raise Bad("%s: cut off: it ends in the middle, at line %d" % (path, e.lineno)) from None
        raise Bad("%s:%d:%d: no JSON: %s" % (path, e.lineno, e.colno, e.msg)) from None
    except KeyError as e:
        raise Bad("%s: no result: an object has %s twice" % (path, json.dumps(e.args[0]))) from None
    except ValueError:
        raise Bad("%s: no result: a number of too many digits" % path) from None
    except RecursionError:
        raise Bad("%s: no result: nested too deeply" % path) from None
    try:
        json.dumps(r, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Bad("%s: no result: half a character in a text" % path) from None
    except ValueError:  # more digits than Python converts
        raise Bad("%s: no result: a number of too many digits" % path) from None
    return check(path, r)


def values(way):
    return [s["value"] for s in way.get("samples", [])]


def median(way):
    found = values(way)
    return stats.median(found) if found else None


def cpu(way):
    """Median CPU seconds of the tree, or None."""
    parts = [way.get("median_user_s"), way.get("median_sys_s")]
    return None if None in parts else sum(parts)


def ratios(b, way):
    return (b.get("ratios") or {}).get(way, {})


def base_of(way, base):
    """Against what a WAY is measured: "bare, crowd" and "native, crowd" are of one kind, "native" is not."""
    kind = way.partition(",")[1:]
    return base if base == way.split(",")[0] else base + "".join(kind)


def by_round(way):
    return {s["round"]: s["value"] for s in way.get("samples", [])}
