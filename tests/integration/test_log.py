# SPDX-License-Identifier: Apache-2.0
"""sluice log: what it shows of records that real runs wrote, and of damaged and hostile ones."""

import html
import html.parser
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import time

from harness import SLUICE, SluiceCase, case

OPEN = "{base}allow all {dir}\ndeny all {dir}/secret\n"
# Each would do something to a terminal or in a page that shows it as it is. ID is replaced by a number.
MARK = "document.documentElement.setAttribute('data-marker','ID')"
HOSTILE = [
    b"\x1b[2J\x1b]0;title\x07", b"a\nb", b"a\rsluice: fine", b"\x9b2J", b"\xff\xfe", b"\xc2\x9b2J",
    "\u202egpj.exe".encode(),
    b"<script>%s<!--", b"<img src=x onerror=\"%s\">", b"\" onmouseover=\"%s\" x=\"",
    b"' onfocus='%s' autofocus='",
    b"]]><script>%s<!--", b"--><svg onload=%s>", b"&lt;b&gt;", b"\\x1b[2J", b"$(touch marker)",
    b"`touch marker`",
    b"{{constructor.constructor('%s')()}}", b"javascript:%s", b"\xe2\x80\xa8", b" ", b"-rf",
    b"\xed\xa0\x80", b"%0a%00",
]


def hostile_names():
    return [(n.replace(b"%s", MARK.replace("ID", str(i)).encode()) if b"%s" in n else n)
            for i, n in enumerate(HOSTILE)]


class Page(html.parser.HTMLParser):
    """The elements of a page, and what is odd about them."""

    ALLOWED = set("""html head meta title style body main section header footer p h1 h2 code span dl div dt dd ul li b
        strong table thead tbody tr th td svg g line rect text details summary script br i""".split())
    VOID = {"meta", "br", "line", "rect"}

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.odd, self.open, self.scripts, self.rows, self.text, self.details = [], [], 0, 0, [], 0
        self.feed(text)
        self.close()
        if self.open:
            self.odd.append("not closed: %s" % self.open)

    def handle_starttag(self, tag, attrs):
        if tag not in self.ALLOWED:
            self.odd.append("<%s>" % tag)
        for name, value in attrs:
            if name.startswith("on") or name in ("src", "href", "style", "srcset", "action", "xlink:href"):
                self.odd.append("%s=%s" % (name, value))
        self.scripts += tag == "script"
        self.rows += tag == "tr"
        self.details += tag == "details"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.odd.append("</%s>" % tag)

    def handle_comment(self, data):
        self.odd.append("comment %s" % data)

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)


class LogCase(SluiceCase):
    def record(self, script, *words, policy=OPEN, options=(), name="rec"):
        path = os.path.join(self.root, name)
        r = self.native(*self.sluice_argv("/bin/sh", "-c", script, *words, policy=policy, record=path,
                                          options=options))
        self.assertTrue(os.path.exists(path), r)
        return path

    def log(self, *words, env=None, **how):
        return self.native(SLUICE, "log", *words, env={"TZ": "UTC", **(env or {})}, **how)

    def lines_of(self, path):
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]

    def page(self, *words):
        out = os.path.join(self.root, "page.html")
        r = self.log("--html", out, *words)
        with open(out, encoding="utf-8") as f:
            text = f.read()
        return r, text

    def write(self, name, *lines):
        path = os.path.join(self.root, name)
        with open(path, "w", encoding="utf-8") as f:
            for line in lines:
                f.write((line if isinstance(line, str) else json.dumps(line)) + "\n")
        return path


def start(**more):
    return {"type": "start", "seq": 1, "time": "2026-01-02T03:04:05.000000Z", "v": 1, "run": "ab", "argv": ["x"],
            "cwd": "/w", **more}


def access(seq, pid=10, ppid=9, path="/w/f", op="read", verdict="allow", **more):
    return {"type": "access", "seq": seq, "time": "2026-01-02T03:04:%02d.%06dZ" % (5 + seq // 1000000, seq % 1000000),
            "pid": pid, "tid": pid, "ppid": ppid, "exe": "/bin/x", "syscall": "openat", "op": op, "path": path,
            "verdict": verdict, "by": "rule", "rule": "p:1", "rule_text": "allow all /w", "count": 1, **more}


def end(seq, **more):
    return {"type": "end", "seq": seq, "time": "2026-01-02T03:04:09.000000Z", "status": 0, "accesses": 1,
            "refusals": 0, "lost": [], "unwatched": [], "complete": True, **more}


class Lines(LogCase):
    SCRIPT = "cat a; cat secret/k; echo x >out; mv out out2; (cat b >/dev/null); rm out2; true"

    def setUp(self):
        super().setUp()
        self.put("a", "a\n")
        self.put("b", "b\n")
        self.put("secret/k", "k\n")

    @case
    def text_has_a_line_for_each_of_the_record(self):
        rec = self.record(self.SCRIPT)
        r = self.log(rec)
        self.assert_status(r, 0)
        self.assertFalse(r.err, r)
        lines = self.lines_of(rec)
        self.assertEqual(len(r.out.splitlines()), len(lines), r)
        self.assertRegex(r.out.splitlines()[0], r"^\d\d:\d\d:\d\d\.\d{3}  start .*/bin/sh -c cat a; cat secret/k")
        self.assertRegex(r.out, 
                         r"(?m)^[\d:.]+  deny    read     cat\[\d+\] +\S*/secret/k  \(.*deny all .*; EACCES\)$")
        self.assertRegex(r.out.splitlines()[-1], r"end .*status 0; \d+ accesses, 1 refused; ")
        self.assertEqual(r.out, self.log(input=open(rec, encoding="utf-8").read()).out)

    @case
    def filters_choose_lines(self):
        rec = self.record(self.SCRIPT)
        lines = self.lines_of(rec)
        accesses = [x for x in lines if x["type"] == "access"]
        missing = [x for x in accesses if x.get("errno") == 2 and x.get("exists") is False]
        cat = [x["pid"] for x in accesses if x["path"] == self.dir + "/secret/k"][0]
        shell = lines[1]["pid"]
        zero = lines[0]["time"]

        def chosen(*words):
            r = self.log("--json", *words, rec)
            return [json.loads(x) for x in r.out.splitlines()]

        for words, want in (
                (["--type", "exec"], [x for x in lines if x["type"] == "exec"]),
                (["--type", "start", "--type", "end"], [lines[0], lines[-1]]),
                (["--verdict", "deny"], [x for x in accesses if x["verdict"] == "deny" and x not in missing]),
                (["--verdict", "deny", "--verdict", "allow"], [x for x in accesses if x not in missing]),
                (["--op", "write"], [x for x in accesses if x["op"] == "write"]),
                (["--op", "w"], [x for x in accesses if x["op"] in ("write", "create", "delete", "meta")]),
                (["--path", self.dir + "/secret"], [x for x in lines if "/secret" in x.get("path", "")]),
                (["--path", "secret/*"], [x for x in lines if "/secret/" in x.get("path", "")]),
                (["--path", "**/out"], [x for x in lines if "out" in (os.path.basename(x.get("path", "")),
                                                                      os.path.basename(x.get("path2", "")))]),
                (["--exe", "cat"], [x for x in lines if os.path.basename(x.get("exe", "")) == "cat"]),
                (["--exe", "/usr/bin/c?t"], [x for x in lines if x.get("exe") == "/usr/bin/cat"]),
                (["--pid", str(cat)], [x for x in lines if x.get("pid") == cat]),
                (["--pid", str(shell), "--descendants"], [x for x in lines if "pid" in x]),
                (["--rule", "default"], [x for x in accesses if x["rule"] == "default"]),
                (["--rule", "base"], [x for x in accesses if x["rule"].startswith("base:")]),
                (["--since", zero, "--until", lines[-1]["time"]], lines),
                (["--until", "+0s"], [x for x in lines if x["time"] <= zero]),
                (["--since", "-1h"], lines),
                (["--exe", "cat", "--op", "read", "--verdict", "deny"],
                 [x for x in accesses if x["verdict"] == "deny" and x["op"] == "read" and x not in missing])):
            self.assertEqual(chosen(*words), want, words)
            self.assertTrue(want or "none" in words or "default" in words, words)

    @case
    def json_lines_are_those_of_the_record(self):
        rec = self.record(self.SCRIPT)
        with open(rec, encoding="utf-8") as f:
            self.assertEqual(self.log("--json", rec).out, f.read())

    @case
    def groups_count_every_access_once(self):
        rec = self.record(self.SCRIPT)
        accesses = [x for x in self.lines_of(rec) if x["type"] == "access"]
        for by in ("path", "dir", "exe", "op", "rule"):
            r = self.log("--group", by, "--json", rec)
            groups = [json.loads(x) for x in r.out.splitlines()]
            want = [x for x in accesses if "path" in x or by not in ("path", "dir")]
            self.assertEqual(sum(g["accesses"] for g in groups), len(want), by)
            self.assertEqual(sum(g["refused"] for g in groups), 1, by)
            self.assertEqual(len({(g[by], g.get("rule_text")) for g in groups}), len(groups))
            counts = [g["accesses"] for g in groups]
            self.assertEqual(counts, sorted(counts, reverse=True))
            text = self.log("--group", by, rec)
            self.assertEqual(len(text.out.splitlines()), len(groups) + 1 + (len(groups) > 1), text)
        self.assertRegex(self.log("--group", "dir", "--verdict", "deny", rec).out, r" 1 +1 +0 .* read +\S*/secret/\n")

    @case
    def the_exit_status_tells_what_was_found(self):
        rec = self.record("true")
        self.assert_status(self.log(rec), 0)
        self.assert_status(self.log("--path", "/nowhere", rec), 1)
        for words in (["--nonsense", rec], ["--op", "reed", rec], ["--since", "yesterday", rec], [rec + ".no"],
                      [self.dir], ["--verdict", "maybe", rec], ["--pid", "x", rec], ["--path", "a**b", rec],
                      ["--html", "/nowhere/x.html", rec], ["--html", "x", "--json", rec], ["--descendants", rec],
                      ["--follow", rec, rec], ["--group", "colour", rec]):
            r = self.log(*words)
            self.assert_status(r, 2)
            self.assertRegex(r.err, r"\Asluice: .+\n\Z", r)
        self.assert_status(self.log(self.write("v2", {"type": "start", "v": 2, "seq": 1})), 2)

    @case
    def several_files_are_shown_one_after_the_other(self):
        a, b = self.record("true", name="a.rec"), self.record("true", name="b.rec")
        r = self.log(a, b)
        self.assertEqual(r.out, self.log(a).out + self.log(b).out)
        self.assert_status(self.log(a, a + ".no", b), 2)
        self.assertEqual(self.log(a, a + ".no", b).out, r.out)

    @case
    def colours_are_for_terminals_that_want_them(self):
        rec = self.record(self.SCRIPT)
        self.assertNotIn("\033", self.log(rec, env={"TERM": "xterm"}).out)
        for env, colour in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False),
                            ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "xterm", "NO_COLOR": ""}, True)):
            ours, theirs = pty.openpty()
            p = subprocess.Popen([SLUICE, "log", "--verdict", "deny", rec], env=self.environment(env), stdout=theirs,
                                 stdin=subprocess.DEVNULL, cwd=self.dir)
            os.close(theirs)
            out = b""
            while True:
                try:
                    data = os.read(ours, 65536)
                except OSError:
                    break
                out += data
                if not data:
                    break
            os.close(ours)
            p.wait(10)
            self.assertIn(b"secret/k", out)
            self.assertEqual(b"\033[" in out, colour, (env, out))


class Output(LogCase):
    @case
    def a_page_replaces_a_link_and_does_not_follow_it(self):
        rec, victim, out = self.record("true"), self.put("victim", "mine"), os.path.join(self.dir, "out.html")
        os.symlink(victim, out)
        self.assert_status(self.log("--html", out, rec), 0)
        self.assertFalse(os.path.islink(out))
        self.assertEqual(os.stat(out).st_mode & 0o777, 0o600)
        with open(victim, encoding="utf-8") as f:
            self.assertEqual(f.read(), "mine")
        self.assertEqual(sorted(os.listdir(self.dir)), ["out.html", "victim"])

    @case
    def a_record_is_not_replaced_by_its_page(self):
        rec = self.record("true")
        with open(rec, "rb") as f:
            before = f.read()
        link = os.path.join(self.dir, "link")
        os.link(rec, link)
        for words, given in (([rec], ""), ([rec, rec], None), ([link, rec], None)):
            r = self.log("--html", *words, input=given)
            self.assert_status(r, 2)
            self.assertRegex(r.err, "name another file for the page|nothing was read")
            with open(rec, "rb") as f:
                self.assertEqual(f.read(), before)

    @case
    def a_page_that_cannot_be_written_leaves_what_was_there(self):
        rec, out = self.record("true"), self.put("out.html", "old")
        self.assert_status(self.log("--html", "/dev/full", rec), 2)
        self.assert_status(self.log("--html", out, rec + ".no"), 2)
        self.assert_status(self.log("--html", self.dir, rec), 2)
        with open(out, encoding="utf-8") as f:
            self.assertEqual(f.read(), "old")
        self.assertTrue(self.log("--html", "-", rec).out.startswith("<!DOCTYPE html>"))
        self.assertEqual(os.listdir(self.dir), ["out.html"])


class Damage(LogCase):
    @case
    def a_cut_off_record_is_shown_as_far_as_it_goes(self):
        rec = self.record("true")
        with open(rec, "rb") as f:
            data = f.read()
        whole = self.log(rec).out.splitlines()
        for cut in (1, 40, len(data) // 2, len(data) - 2):
            path = os.path.join(self.root, "cut")
            with open(path, "wb") as f:
                f.write(data[:-cut])
            r, page = self.page(path)
            self.assert_status(r, 3 if cut > 1 else 0)
            r = self.log(path)
            lines = r.out.splitlines()
            self.assertEqual(lines, whole[:len(lines)])
            self.assertEqual(len(lines), data[:-cut].count(b"\n") + (cut == 1))
            if cut == 1:
                continue
            self.assert_status(r, 3)
            self.assertRegex(r.err, r"\Asluice: \S+: .*(cut off|has no end).*\n\Z")
            self.assertIn("This record is not whole", page)
            self.assertIn("record not complete" if lines else "No record", page)

    @case
    def damaged_lines_are_skipped_and_told(self):
        rec = self.record("cat /dev/null; cat /dev/null")
        with open(rec, "rb") as f:
            lines = f.read().splitlines()
        lines[2], lines[4] = b"\x00garbage\xff", lines[4][:-9]
        del lines[6]
        path = os.path.join(self.root, "bad")
        with open(path, "wb") as f:
            f.write(b"\n".join(lines) + b"\n")
        r = self.log(path)
        self.assert_status(r, 3)
        self.assertEqual(len(r.out.splitlines()), len(lines) - 2)
        self.assertIn("2 damaged lines were skipped, the first is line 3; 3 lines are missing", r.err)
        r, page = self.page(path)
        self.assert_status(r, 3)
        self.assertIn("2 damaged lines were skipped, the first is line 3", page)
        self.assertEqual(Page(page).odd, [])

    @case
    def whatever_the_bytes_it_ends_and_says_so(self):
        for data in (b"", b"\n\n\n", b"\x00" * 5000, os.urandom(100000), b"{" * 100000, b"[" * 5000 + b"\n",
                     b'{"type":"access","path":"' + b"a" * 300000 + b'"}\n', b"\xef\xbb\xbf\n"):
            path = os.path.join(self.root, "any")
            with open(path, "wb") as f:
                f.write(data)
            for words in ([path], ["--json", path], ["--group", "path", path]):
                r = self.log(*words)
                self.assertEqual(r.status, 3, r)
                self.assertNotRegex(r.out + r.err, r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
            if not data.strip(b"\n"):  # rather a name forgotten: `log --html record` would read standard input
                self.assert_status(self.log("--html", os.path.join(self.root, "page.html"), path), 2)
                continue
            r, page = self.page(path)
            self.assert_status(r, 3)
            self.assertEqual(Page(page).odd, [])

    @case
    def processes_in_circles_and_chains_make_a_tree(self):
        lines, n = [start()], 2
        for pid, ppid in [(10, 11), (11, 12), (12, 10), (13, 13), (14, 0), (15, 1)]:
            lines.append(access(n, pid=pid, ppid=ppid))
            n += 1
        for pid in range(100, 3100):
            lines.append(access(n, pid=pid, ppid=pid - 1))
            n += 1
        for pid in range(9000, 8000, -1):  # children before their parents
            lines.append(access(n, pid=pid, ppid=pid - 1))
            n += 1
        r, page = self.page(self.write("deep", *lines, end(n)))
        self.assert_status(r, 0)
        self.assertEqual(Page(page).odd, [])
        self.assertIn("The first 2,000 of", page)
        self.assertLess(max(len(x) for x in re.findall("(?:<ul>[^/]*?)+", page)), 100000)

    @case
    def a_huge_record_makes_a_page_of_bounded_size(self):
        lines = [start()]
        for i in range(2, 60002):
            lines.append(access(i, pid=i % 30000 + 10, path="/w/%d/%d" % (i % 500, i), op="write",
                                verdict="deny" if i % 3 == 0 else "allow", errno=13))
        began = time.monotonic()
        r, page = self.page(self.write("huge", *lines, end(60002)))
        self.assert_status(r, 0)
        self.assertLess(len(page), 6000000)
        self.assertLess(time.monotonic() - began, 20)
        parsed = Page(page)
        self.assertEqual(parsed.odd, [])
        self.assertLess(parsed.rows, 6000)
        self.assertIn("5,000 of 60,000 accesses", page)
        self.assertIn(" more directories", page)


class Bounds(LogCase):
    @case
    def a_record_of_enormous_strings_makes_a_page_of_bounded_size(self):
        path = os.path.join(self.root, "enormous")
        with open(path, "w", encoding="utf-8") as f:
            f.write(json.dumps(start(argv=["'" * 1000000] * 3, name="n" * 1000000)) + "\n")
            for i in range(2, 2500):
                long = "/'\"<%d" % i + "'" * (200000 if i % 50 == 0 else 6000)
                f.write(json.dumps(access(i, pid=i, path=long, exe="/" + "\"" * 5000 + str(i), errno=13,
                                          verdict="deny" if i % 2 else "allow")) + "\n")
            f.write(json.dumps(end(2500, lost=["'" * 1000000] * 10)) + "\n")
        r, text = self.page(path)
        self.assert_status(r, 0)
        self.assertLess(len(text), 40000000)
        self.assertIn("The page is full: ", text)

    @case
    def what_a_page_has_room_for_is_counted_to_the_end(self):
        lines = [start(), access(2, path="/w/first", verdict="deny", errno=13)]
        lines += [access(i, path="/w/%d" % i, verdict="deny", errno=13) for i in range(3, 2600)]
        lines += [access(2600 + i, path="/w/first", verdict="deny", errno=13) for i in range(7)]
        r, text = self.page(self.write("many", *lines, end(2607)))
        self.assert_status(r, 0)
        self.assertRegex(text, r'/w/first</td>.*data-v="8">8</td></tr>')
        self.assertIn("2,007 of 2,605 accesses", text)


class Offers(LogCase):
    def offers(self, home, uid, cwd, *paths, op="create", rule="default", by="default", rule_text=None):
        lines = [start(uid=uid, cwd=cwd)]
        for i, path in enumerate(paths):
            more = {"rule_text": rule_text} if rule_text else {}
            line = access(i + 2, path=path, op=op, verdict="deny", rule=rule, by=by, errno=13, **more)
            lines.append({k: v for k, v in line.items() if k != "rule_text" or rule_text})
        out = os.path.join(self.root, "offers.html")
        r = self.log("--html", out, self.write("offers", *lines, end(len(lines) + 1)), env={"HOME": home})
        self.assert_status(r, 0)
        with open(out, encoding="utf-8") as f:
            table = re.search(r"(?s)What was refused.*?<tbody>(.*?)</tbody>", f.read())[1]
        cells = [row.split("<td>")[-1] for row in table.split("<tr>")[1:]]
        return [html.unescape(re.sub("<[^>]*>", "", cell)).strip() for cell in cells]

    @case
    def what_is_offered_is_what_the_summary_of_the_run_would_offer(self):
        home, uid = self.dir, os.getuid()
        cwd = home + "/proj"
        os.mkdir(cwd)
        wide, never = "too wide for an option", "no option lifts a never"
        for paths, want in ((["/etc/x"], "--allow rw:/etc/x"), ([home + "/a b"], "--allow 'rw:~/a b'"),
                            ([home], wide), (["/"], wide), ([os.path.dirname(home)], wide),
                            ([cwd], "--allow rw:~/proj"),
                            ([home + "/.config"], wide), ([home + "/.config/x"], "--allow rw:~/.config/x")):
            self.assertEqual(self.offers(home, uid, cwd, *paths), [want], paths)
        self.assertEqual(self.offers(home, uid, cwd, "/x", rule="my:3", by="rule", rule_text="never all /x"), [never])
        self.assertEqual(self.offers(home, uid, cwd, "/x", rule="--deny all:/x", by="rule", rule_text="deny all /x"),
                         ["leave out the option"])
        self.assertEqual(self.offers(home, uid, cwd, home + "/.ssh/id", op="read", rule="credentials:7",
                                     by="rule", rule_text="deny all ~/.ssh"), ["--allow read:~/.ssh/id may hold secrets"])
        self.assertEqual(self.offers(home, uid, cwd, "/x", by="error"), [""])

    @case
    def three_of_one_directory_become_one_line_but_never_of_a_wide_one(self):
        home, uid = self.dir, os.getuid()
        cwd = home + "/proj"

        def named(where, n):
            return ["%s/%d" % (where, i) for i in range(n)]

        self.assertEqual(self.offers(home, uid, cwd, *named("/opt/x", 3)), ["--allow rw:/opt/x"])
        self.assertEqual(len(self.offers(home, uid, cwd, *named("/opt/x", 2))), 2)
        self.assertEqual(self.offers(home, uid, cwd, *named(home + "/y", 4)), ["--allow rw:~/y"])
        for where in (home, home + "/.config", cwd, "/"):
            self.assertEqual(len(self.offers(home, uid, cwd, *named(where.rstrip("/"), 3))), 3, where)
        self.assertEqual(len(self.offers(home, uid, cwd, *named("/opt/x", 3), rule="my:3", by="rule",
                                         rule_text="deny all /opt/x")), 3)

    @case
    def the_record_of_another_user_is_judged_by_that_users_home(self):
        home, uid = self.dir, 54321
        wide = "too wide for an option"
        for path, want in (("/home/zed/.config", wide), ("/home/zed", wide),
                           ("/home/zed/.config/x", "--allow rw:/home/zed/.config/x"),
                           ("/home/zed/w", "--allow rw:/home/zed/w"),
                           (home + "/x", "--allow rw:%s/x" % home)):
            self.assertEqual(self.offers(home, uid, "/home/zed/w", path), [want], path)


class Questions(LogCase):
    @case
    def questions_and_their_answers_are_shown(self):
        self.put("k", "k\n")
        prompt = os.path.join(self.root, "prompt")
        with open(prompt, "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\ncat >/dev/null\necho '{\"answer\":\"yes\"}'\n")
        os.chmod(prompt, 0o755)
        rec = self.record("cat k; true", policy="{base}allow ro {dir}\nask read {dir}/k\n",
                          options=["--prompt", "exec:" + prompt])
        asked = [x for x in self.lines_of(rec) if x["type"] == "ask"]
        self.assertEqual([x["answer"] for x in asked], ["yes"])
        r = self.log("--type", "ask", rec)
        self.assert_status(r, 0)
        self.assertRegex(r.out, r"\A[\d:.]+  ask +read +cat\[\d+\] +\S+/k  \(%s, .* after [\d.]+ s\)\n\Z"
                         % asked[0]["answer"])
        r, text = self.page(rec)
        self.assertEqual(Page(text).odd, [])
        self.assertIn("What was asked", text)
        self.assertRegex(text, r"/k</td>.*<td>%s</td>" % asked[0]["answer"])


class Follow(LogCase):
    def state_of(self, pid):
        time.sleep(0.2)  # it has started, and read what there is
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0]

    def follow(self, path):
        return self.start([SLUICE, "log", "--follow", path])

    @case
    def it_shows_lines_as_they_come_and_ends_with_the_run(self):
        rec, go = os.path.join(self.root, "rec"), os.path.join(self.dir, "go")
        run = self.start(self.sluice_argv("/bin/sh", "-c", "cat /dev/null; while [ ! -e go ]; do sleep 0.05; done",
                                          policy=OPEN, record=rec))
        self.wait_for("the record", lambda: os.path.exists(rec) and os.path.getsize(rec) > 0)
        log = self.follow(rec)
        first = log.stdout.readline()
        self.assertIn("start", first)
        self.assertIsNone(log.poll())
        self.assertIsNone(run.poll())
        with open(go, "w"):
            pass
        out, err = log.stdout.read(), log.stderr.read()
        log.communicate(timeout=20)
        run.communicate(timeout=20)
        self.assertEqual(log.returncode, 0, out + err)
        self.assertEqual(first + out, self.native(SLUICE, "log", rec).out)
        self.assertRegex(out, r" end .*status 0")

    @case
    def it_goes_over_to_a_record_that_replaces_the_one_it_follows(self):
        rec = self.write("rec", start(), access(2, path="/w/old"))
        log = self.follow(rec)
        self.assertIn("start", log.stdout.readline())
        new = self.write("new", start(), access(2, path="/w/new"), end(3))
        os.rename(new, rec)
        out, err = log.stdout.read(), log.stderr.read()
        log.communicate(timeout=20)
        self.assertEqual(log.returncode, 0, out + err)
        self.assertIn("/w/old", out)
        self.assertIn("/w/new", out)
        self.assertIn("was replaced", err)

    @case
    def an_interrupt_ends_the_wait_and_counts_what_there_is(self):
        rec = self.write("rec", start(), access(2), access(3))
        log = self.start([SLUICE, "log", "--follow", "--group", "op", rec])
        self.wait_for("the reader to sleep", lambda: self.state_of(log.pid) == "S")
        log.send_signal(signal.SIGINT)
        out, err = log.communicate(timeout=20)
        self.assertRegex(out, r" 2 +0 +0 .* read\n", err)
        self.assertEqual(log.returncode, 3)

    @case
    def a_fifo_is_read_while_it_is_written(self):
        fifo = os.path.join(self.root, "fifo")
        os.mkfifo(fifo)
        for words in ([], ["--follow"]):
            log = self.start([SLUICE, "log", *words, fifo])
            r = self.native(*self.sluice_argv("/bin/cat", "/dev/null", policy=OPEN, record=fifo))
            self.assert_status(r, 0)
            out, err = log.communicate(timeout=20)
            self.assertEqual((log.returncode, err), (0, ""), out)
            self.assertRegex(out, r"(?s)start.* end ")


class Hostile(LogCase):
    def record_of_hostile_names(self):
        """A run that reads, and is refused to write, files of every such name; its arguments are hostile too."""
        names = hostile_names()
        where = os.path.join(self.dir, "<").encode()
        os.mkdir(where)
        for name in names:
            with open(os.path.join(self.dir.encode(), name), "wb"):
                pass
        with open(os.path.join(where, b"script>" + MARK.replace("ID", "99").encode()), "wb"):
            pass
        script = ("for f in ./* ./'<'/*; do cat \"$f\" >/dev/null; { echo x >\"$f\"; } 2>/dev/null; done; "
                  "cat \"$@\" 2>/dev/null; true")
        words = [n.decode("latin-1") for n in names] + [
            "</title></style></script><script>%s</script>" % MARK.replace("ID", "77")]
        return self.record(script, "sh", *words, policy="{base}allow ro {dir}\n",
                           options=["--name", "</title><script>%s</script>" % MARK.replace("ID", "78")])

    @case
    def names_do_nothing_to_the_terminal(self):
        rec = self.record_of_hostile_names()
        lines = self.lines_of(rec)
        self.assertGreaterEqual(len([x for x in lines if x.get("verdict") == "deny"]), len(HOSTILE))
        for words in ([], ["--group", "path"], ["--group", "dir"]):
            r = self.log(*words, rec)
            self.assert_status(r, 0)
            self.assertNotRegex(r.out, r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]")
            if not words:
                self.assertEqual(len(r.out.splitlines()), len(lines))
        self.assertIn("\\x1b[2J", r.out + self.log(rec).out)

    @case
    def json_of_a_hostile_record_has_no_control_characters(self):
        path = self.write("raw", start(),
                          json.dumps(access(2, path="/\u009b2J\u202e\u2028\x7f"), ensure_ascii=False), end(3))
        r = self.log("--json", path)
        self.assert_status(r, 0)
        self.assertNotRegex(r.out, r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2028]")
        self.assertEqual([json.loads(x) for x in r.out.split("\n")[:-1]], self.lines_of(path))

    @case
    def the_page_holds_names_as_text_only(self):
        r, text = self.page(self.record_of_hostile_names())
        self.assert_status(r, 0)
        page = Page(text)
        self.assertEqual(page.odd, [])
        self.assertEqual(page.scripts, 1)
        self.assertNotRegex(text, r"https?:|url\(|@import")
        self.assertNotRegex(text, "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u2028]")
        shown = "".join(page.text)
        for name in ("\\x1b[2J", "a\\nb", "\\xff\\xfe", "<img src=x onerror=\"", "]]><script>", "&lt;b&gt;", "/<"):
            self.assertIn(name, shown)
        self.assertRegex(text, r"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; ")

    @case
    def options_that_the_page_offers_allow_what_was_refused(self):
        policy = self.policy("{base}allow ro {dir}\n")
        script = "for f in ./*; do [ -d \"$f\" ] || echo x >\"$f\"; done; true"
        for name in hostile_names():
            with open(os.path.join(self.dir.encode(), name), "wb"):
                pass
        rec = self.record(script, policy=policy)
        refused = [x for x in self.lines_of(rec) if x.get("verdict") == "deny" and x["op"] == "write"]
        self.assertEqual(len(refused), len(HOSTILE))
        r, text = self.page(rec)
        offers = [html.unescape(x) for x in re.findall(r'<code class="copy">(.*?)</code>', text)]
        self.assertEqual(len(offers), len(HOSTILE))
        again = os.path.join(self.root, "again")
        # Pasted into a shell, as they are shown.
        r = self.native("bash", "-c", "exec \"$@\" %s -- /bin/sh -c \"$script\"" % " ".join(offers), "bash",
                        *self.sluice_argv(policy=policy, record=again)[:-1], env={"script": script})
        self.assert_status(r, 0)
        self.assertEqual([x for x in self.lines_of(again) if x.get("verdict") == "deny" and x["op"] == "write"], [])
        self.assertEqual([n for n in os.listdir(self.dir) if os.path.getsize(os.path.join(self.dir, n)) != 2], [])
        self.assertFalse(os.path.exists(os.path.join(self.dir, "marker")))


class Browser(LogCase):
    """In a real one: nothing of a record runs, what the page brings itself does."""

    def dom(self, path):
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        if not browser:
            self.skip("chromium is not installed")
        return self.native(browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                           "--disable-component-update", "--no-first-run", "--disable-dev-shm-usage",
                           "--enable-logging=stderr", "--virtual-time-budget=2000",
                           "--user-data-dir=" + os.path.join(self.root, "profile"), "--dump-dom", "file://" + path,
                           env={"HOME": self.root}, timeout=120)

    @case
    def nothing_in_a_record_is_executed(self):
        rec = Hostile.record_of_hostile_names(self)
        r, text = self.page(rec)
        self.assert_status(r, 0)
        # The control: what the names say does run where they are not escaped.
        control = os.path.join(self.root, "control.html")
        with open(control, "wb") as f:
            f.write(b"<!DOCTYPE html><html><body>" + b"</script><p>".join(hostile_names()) + b"</body></html>")
        r = self.dom(control)
        self.assertIn("data-marker=", r.out, r)
        r = self.dom(os.path.join(self.root, "page.html"))
        tags = "".join(re.findall(r"<[^>]*>", r.out))
        self.assertNotIn("data-marker=", tags)
        self.assertNotIn("data-marker", r.out[:r.out.index(">", r.out.index("<html")) + 1])
        # Its own script ran, its style was taken.
        self.assertIn('<input type="search"', r.out)
        self.assertIn("aria-label", r.out)
        self.assertNotIn("Content Security Policy", r.err)
        # Even if something got into the page, its policy keeps it from running.
        tampered = os.path.join(self.root, "tampered.html")
        with open(tampered, "w", encoding="utf-8") as f:
            f.write(text.replace("<main>", "<main><script>%s</script><img src=x onerror=\"%s\">" % (MARK, MARK)))
        r = self.dom(tampered)
        self.assertNotIn("data-marker", r.out[:r.out.index(">", r.out.index("<html")) + 1])
        self.assertIn("Content Security Policy", r.err)

    @case
    def it_can_be_sorted_and_filtered_and_fits_its_window(self):
        self.put("a", "a\n")
        self.put("secret/k", "k\n")
        rec = self.record("cat a; cat secret/k; echo x >out; true")
        r, text = self.page(rec)
        self.assert_status(r, 0)
        probe = """<script>
            const tell = (k, v) => document.documentElement.setAttribute("data-" + k, v);
            const table = document.querySelector(".filter + .scroll table");
            const column = i => [...table.tBodies[0].rows].filter(r => !r.hidden).map(r => r.cells[i].textContent);
            const input = document.querySelector(".filter input");
            const sorted = (a, up) => a.every((x, i) => !i || (up ? a[i - 1] <= x : a[i - 1] >= x));
            tell("rows", column(0).length);
            table.tHead.rows[0].cells[3].click();
            tell("up", sorted(column(3), true));
            table.tHead.rows[0].cells[3].click();
            tell("down", sorted(column(3), false));
            input.value = "DENY secret";
            input.dispatchEvent(new Event("input"));
            tell("filtered", column(3).join());
            tell("count", document.querySelector(".filter span").textContent);
            const svg = document.querySelector("svg").getBoundingClientRect();
            tell("picture", svg.width > 300 && svg.height > 80);
            tell("wide", document.documentElement.scrollWidth > document.documentElement.clientWidth);
            tell("tree", document.querySelectorAll(".tree details[open] li").length);
            </script>"""
        path = os.path.join(self.root, "probed.html")
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub(r"<meta http-equiv[^>]*>", "", text).replace("</body>", probe + "</body>"))
        r = self.dom(path)
        told = dict(re.findall(r'data-(\w+)="([^"]*)"', r.out[:r.out.index("<head>")]))
        rows = Page(text).rows
        self.assertGreater(int(told["rows"]), 10)
        self.assertLess(int(told["rows"]), rows)
        self.assertEqual((told["up"], told["down"], told["picture"], told["wide"]),
                         ("true", "true", "true", "false"))
        self.assertTrue(told["filtered"].endswith("/secret/k"), told)
        self.assertRegex(told["count"], r"^1 of %s rows$" % told["rows"])
        self.assertGreaterEqual(int(told["tree"]), 2)

    @case
    def without_scripts_all_is_there(self):
        r, text = self.page(self.record("cat /dev/null; true"))
        path = os.path.join(self.root, "still.html")
        with open(path, "w", encoding="utf-8") as f:
            f.write(re.sub("script-src '[^']*'", "script-src 'none'", text))
        r = self.dom(path)
        self.assertNotIn('<input type="search"', r.out)
        self.assertEqual(Page(r.out).rows, Page(text).rows)
        self.assertEqual(Page(r.out).details, Page(text).details)
        self.assertIn("<svg", r.out)
