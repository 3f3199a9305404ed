# SPDX-License-Identifier: Apache-2.0
"""sluice-bench runs, and its results can be compared and can't be mistaken. No test looks at a time."""

import glob
import importlib.machinery
import importlib.util
import json
import math
import os
import random
import re
import shutil
import signal
import sys
import time
import xml.etree.ElementTree

from harness import BUILD, LAYERS, SluiceCase, case

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "../.."))
BENCH = os.path.join(TOP, "bench/sluice-bench")
sys.path.insert(0, os.path.join(TOP, "bench"))


def result(seed=1, benchmarks=("open",), scale=1.0, rounds=11, **more):
    """A made-up result."""
    rng = random.Random(seed)
    made = {"format": "sluice-bench", "version": 1, "complete": True,
            "machine": {"kernel": "6.1.0", "cpu": "A CPU", "cpus": 2}, "benchmarks": {}}
    for name in benchmarks:
        ways = {}
        for way, value in (("native", 2.0), ("bare", 10.0), ("sluice", 11.0 * scale)):
            ways[way] = {"samples": [{"round": i, "value": value * rng.uniform(0.97, 1.03)} for i in range(rounds)]}
        made["benchmarks"][name] = {"title": name, "unit": "us", "ways": ways, "ratios": {}, "noisy": []}
    made.update(more)
    return made


class BenchCase(SluiceCase):
    def bench(self, *argv, **how):
        if not os.path.exists(BENCH):
            self.skip("there is no bench/sluice-bench beside these tests")
        return self._run([sys.executable, "-B", BENCH, *argv], timeout=120, **how)

    def put_result(self, name, value):
        return self.put(name, value if isinstance(value, str) else json.dumps(value))

    def assert_refused(self, content, *words):
        """compare refuses it, names the file, and says what is wrong with it."""
        good, bad = self.put_result("good.json", result()), self.put_result("bad.json", content)
        for order in ([good, bad], [bad, good]):
            r = self.bench("compare", *order)
            self.assert_status(r, 2)
            for word in ("bad.json", *words):
                self.assertIn(word, r.err)
            self.assertNotIn("Traceback", r.err)


COSTS = "Cost over native, and over bare"


class Compare(BenchCase):
    @case
    def refuses_an_empty_file(self):
        self.assert_refused("", "empty")

    @case
    def refuses_a_truncated_file(self):
        text = json.dumps(result(), indent=1)
        self.assert_refused(text[:len(text) // 2], "cut off")

    @case
    def refuses_what_is_no_json(self):
        self.assert_refused("benchmarks: none\n", "bad.json:1:1", "no JSON")

    @case
    def refuses_bytes_that_are_no_text(self):
        path = os.path.join(self.dir, "bad.json")
        with open(path, "wb") as f:
            f.write(b"\x7fELF\xff\xfe")
        r = self.bench("compare", path, path)
        self.assert_status(r, 2)
        self.assertIn("not UTF-8", r.err)

    @case
    def names_foreign_json(self):
        self.assert_refused({"context": {}, "benchmarks": []}, "Google Benchmark")
        self.assert_refused({"results": []}, "hyperfine")
        self.assert_refused({"a": 1}, "something else")
        self.assert_refused([1, 2], "no object")

    @case
    def refuses_a_newer_version(self):
        self.assert_refused(result(version=2), "newer", "version 2")

    @case
    def refuses_wrong_values_and_says_where(self):
        bad = result()
        bad["benchmarks"]["open"]["ways"]["sluice"]["samples"][3]["value"] = "fast"
        self.assert_refused(bad, 'ways["sluice"].samples[3].value')
        bad["benchmarks"]["open"]["ways"]["sluice"]["samples"][3] = {"round": 0, "value": float("nan")}
        self.assert_refused(bad, "samples[3].value")
        bad = result()
        del bad["machine"]["kernel"]
        self.assert_refused(bad, "machine.kernel")

    @case
    def names_a_file_that_is_not_there(self):
        r = self.bench("compare", "nowhere.json", "nowhere.json")
        self.assert_status(r, 2)
        self.assertIn("nowhere.json: No such file", r.err)

    def compare(self, a, b, *options):
        return self.bench("compare", self.put_result("a.json", a), self.put_result("b.json", b), *options)

    def rows(self, r, title):
        """{way: line} of the table below TITLE, of the benchmark open."""
        self.assert_status(r, 0)
        lines = r.out.split("\n%s\n" % title)[1].split("\n\n")[0].splitlines()
        return {line.split()[1]: line for line in lines if line.startswith("open ")}

    @case
    def finds_a_slower_way_and_only_that(self):
        r = self.compare(result(1), result(2, scale=1.2))
        rows = self.rows(r, "Figures")
        self.assertIn("* slower", rows["sluice"])
        self.assertIn("no difference seen", rows["native"])
        self.assertIn("no difference seen", rows["bare"])
        rows = self.rows(r, COSTS)
        self.assertIn("* more", rows["sluice"])
        self.assertIn("no difference seen", rows["bare"])
        self.assertNotIn("native", rows)

    @case
    def does_not_judge_times_of_different_machines(self):
        """Another machine that is half as fast: only the cost over native tells of sluice."""
        def other(**more):
            r = result(2, scale=1.2, **more)
            for w in r["benchmarks"]["open"]["ways"].values():
                for s in w["samples"]:
                    s["value"] *= 2
            return r

        slow, emulated = other(), other(settings={"emulated": "tcg"})
        slow["machine"]["cpus"] = 4
        for b, remark in ((slow, "Different machines"), (emulated, "Emulated, without counting instructions")):
            r = self.compare(result(1), b)
            self.assertIn(remark, r.out)
            for line in self.rows(r, "Figures").values():
                self.assertRegex(line, r" [12]\.\d+ +not judged$")
            self.assertIn("* more", self.rows(r, COSTS)["sluice"])
            self.assertIn("no difference seen", self.rows(r, COSTS)["bare"])
        # Instructions are counted alike everywhere.
        a = result(1)
        for r in (a, slow):
            r["benchmarks"]["open"]["unit"] = "k instr"
        self.assertIn("* more", self.rows(self.compare(a, slow), "Figures")["native"])

    @case
    def shows_cpu_seconds_the_cost_over_bare_and_goals(self):
        a, b = result(1), result(2)
        for r, own in ((a, 0.25), (b, 0.5)):
            r["benchmarks"]["open"]["ways"]["sluice"].update(median_user_s=1.5, median_sys_s=0.5,
                                                             median_supervisor_s=own)
        b["benchmarks"]["open"]["ratios"]["sluice"] = {"bare": {"median": 1.3, "low": 1.2, "high": 1.4}}
        r = self.compare(a, b, "--html", "page.html")
        self.assertRegex(self.rows(r, "CPU seconds, of the tree and of the supervisor")["sluice"],
                         r"sluice +2 +2 +1.000 +0.25 +0.5 +2.000$")
        self.assertRegex(self.rows(r, COSTS)["sluice"], r" 1.[01]\d +1.[01]\d$")
        self.assertRegex(self.rows(r, COSTS)["bare"], r"seen +[\d.]+$")
        goal = ("open, trapped, against bare", "b", "1.300 [1.200, 1.400]", "1.1", "", "NOT MET")
        self.assertRegex(r.out, "(?m)^" + " +".join(map(re.escape, filter(None, goal))) + "$")
        with open(os.path.join(self.dir, "page.html"), encoding="utf-8") as f:
            text = f.read()
        self.assertIn('<td class="n">2.000</td>', text)
        self.assertIn("".join("<td>%s</td>" % word for word in goal[2:]), text)
        self.assertRegex(text, '<th scope="col" class="n">a: native</th><th scope="col" class="n">a: bare</th>')

    @case
    def says_that_native_itself_differs(self):
        b = result(2, scale=1.2)
        self.assertNotIn("Native itself", self.compare(result(1), b).out)
        for w in b["benchmarks"]["open"]["ways"].values():
            for s in w["samples"]:
                s["value"] *= 1.5
        r = self.compare(result(1), b)
        self.assertRegex(r.out, r"Native itself differs in b: .*\n  open, native: 1\.5")
        self.assertNotIn("bare", [way for way, line in self.rows(r, COSTS).items() if "*" in line])

    @case
    def more_than_nothing_is_more(self):
        a = result(1)
        for s in a["benchmarks"]["open"]["ways"]["sluice"]["samples"]:
            s["value"] = 0
        r = self.compare(a, result(2), "--html", "page.html")
        self.assertIn("* slower", self.rows(r, "Figures")["sluice"])
        self.assertIn("* more", self.rows(r, COSTS)["sluice"])

    @case
    def calls_nothing_a_difference_with_few_rounds(self):
        a = self.put_result("a.json", result(1, rounds=2))
        b = self.put_result("b.json", result(2, rounds=2, scale=3))
        self.assertIn("too few rounds", self.bench("compare", a, b).out)

    @case
    def compares_nothing_that_was_not_done_alike(self):
        a, b = result(1), result(2, scale=10)
        a["benchmarks"]["open"]["amount"], b["benchmarks"]["open"]["amount"] = 10, 1
        out = self.bench("compare", self.put_result("a.json", a), self.put_result("b.json", b)).out
        self.assertIn("not compared in b: not the same was done (10, 1", out)
        self.assertNotIn("slower", out)
        b["benchmarks"]["open"]["amount"] = 10
        out = self.bench("compare", self.put_result("a.json", a), self.put_result("b.json", b)).out
        self.assertIn("* slower", out)

    @case
    def does_not_hide_a_difference_that_too_few_rounds_cannot_show(self):
        names = ["b%d" % i for i in range(40)]
        a = self.put_result("a.json", result(1, benchmarks=names, rounds=5))
        b = result(2, benchmarks=names, rounds=5)
        for s in b["benchmarks"]["b7"]["ways"]["sluice"]["samples"]:
            s["value"] *= 3
        out = self.bench("compare", a, self.put_result("b.json", b)).out
        line = next(s for s in out.splitlines() if s.startswith("b7 ") and " sluice " in s)
        self.assertIn("apart, but too few rounds", line)

    @case
    def refuses_odd_members_of_any_kind(self):
        """What a reader looks at is a thing of its kind, or is refused with its name."""
        for member, value in (("label", ["x"]), ("settings", []), ("versions", {"sluice": 3}), ("load_before", []),
                              ("absent", {"syd": 1}), ("versions", {"sluice": "\ud800"})):
            bad = result()
            bad[member] = value
            self.assert_refused(bad, member if value != {"sluice": "\ud800"} else "half a character")
        bad = result()
        bad["machine"]["config"] = {"HZ": 250}
        self.assert_refused(bad, "machine.config")
        bad = result()
        bad["benchmarks"]["open"]["noisy"] = [1]
        self.assert_refused(bad, "noisy")
        bad = result()
        bad["benchmarks"]["open"]["ratios"] = {"sluice": {"bare": {"median": 1.1, "low": "1"}}}
        self.assert_refused(bad, "ratios")
        bad = result()
        bad["benchmarks"]["open"]["ways"]["sluice"]["median_user_s"] = [1]
        self.assert_refused(bad, "median_user_s")
        bad["benchmarks"]["open"]["ways"]["sluice"] = {"samples": [{"value": 1, "round": 1, "supervisor_s": "1"}]}
        self.assert_refused(bad, "samples[0].supervisor_s")
        bad = json.dumps(result()).replace('"value": ', '"value": 9' + "9" * 5000, 1)
        self.assert_refused(bad, "bad.json")

    @case
    def shows_no_control_characters_of_a_result(self):
        odd = "x\x1b]0;title\x07\r\ny\x9b\u202e"
        a, b = result(1, label=odd), result(2, benchmarks=("open", odd))
        a["machine"].update(cpu=odd, boot=[odd])
        b["benchmarks"]["open"]["noisy"] = [odd]
        r = self.bench("compare", self.put_result("a.json", a), self.put_result("b.json", b))
        self.assert_status(r, 0)
        self.assertIn("x ]0;title   y", r.out)
        for c in "\x1b\x07\r\x9b\u202e":
            self.assertNotIn(c, r.out + r.err)

    @case
    def refuses_a_key_that_is_there_twice(self):
        text = json.dumps(result())
        self.assert_refused(text.replace('"unit":', '"unit": "s", "unit":', 1), 'has "unit" twice')

    @case
    def says_that_machines_and_kernels_differ(self):
        a = self.put_result("a.json", result(1))
        other = result(2)
        other["machine"].update(kernel="6.12.0")
        b = self.put_result("b.json", other)
        self.assertIn("Different kernels", self.bench("compare", a, b).out)
        other["machine"].update(cpu="Another CPU")
        b = self.put_result("b.json", other)
        self.assertIn("Different machines", self.bench("compare", a, b).out)

    @case
    def says_what_only_one_result_has(self):
        a = self.put_result("a.json", result(1, benchmarks=("open", "exec")))
        b = self.put_result("b.json", result(2))
        self.assertIn("exec: only in a", self.bench("compare", a, b).out)

    @case
    def says_that_a_result_is_noisy_or_incomplete(self):
        a = self.put_result("a.json", result(1, complete=False))
        other = result(2, scale=2)
        other["benchmarks"]["open"]["noisy"] = ["native varies by 20 %"]
        out = self.bench("compare", a, self.put_result("b.json", other)).out
        self.assertIn("Incomplete, its run was interrupted: a", out)
        self.assertIn("open: native varies", out)
        self.assertIn("slower, but noisy", out)
        self.assertNotIn("* slower", out)


class Show(BenchCase):
    @case
    def shows_a_result_as_its_run_did(self):
        a = result(1, load_before=[0.5], load_after=[0.25], noisy=["open: others"])
        a["benchmarks"]["open"]["noisy"] = ["others"]
        a["benchmarks"]["open"]["ratios"]["sluice"] = {"bare": {"median": 1.1, "low": 1.05, "high": 1.15}}
        a["benchmarks"]["open"]["ways"]["sluice"].update(median_user_s=1.5, median_sys_s=0.75, median_supervisor_s=0.5)
        r = self.bench("show", self.put_result("a.json", a))
        self.assert_status(r, 0)
        self.assertRegex(r.out, r"(?m)^2 CPUs \(A CPU\), Linux 6.1.0, load 0.50 to 0.25$")
        self.assertRegex(r.out, r"(?m)^open +sluice +1[01][.\d]+ +us +1.1 \[1.05, 1.15\] +2.25 +0.5$")
        self.assertIn("NOISY open: others", r.out)
        self.assertRegex(r.out, r"(?m)^open, trapped, against bare +1.100 \[1.050, 1.150\] +1.1 +not shown: noisy")

    @case
    def shows_a_result_of_which_little_is_known(self):
        a = result(1, complete=False, noisy=None, settings=None)
        a["benchmarks"]["open"].update(ratios=None, title=None, noisy=None)
        a["benchmarks"]["open"]["ways"]["strace"] = {"failed": "it ends", "samples": []}
        r = self.bench("show", self.put_result("a.json", a))
        self.assert_status(r, 0)
        self.assertIn("INCOMPLETE", r.out)
        self.assertRegex(r.out, r"(?m)^open +strace +BROKEN")
        self.assertIn("None of the goals was measured", r.out)
        r = self.bench("show", self.put_result("bad.json", "{}"))
        self.assert_status(r, 2)
        self.assertIn("bad.json: JSON of something else", r.err)


class Page(BenchCase):
    @case
    def shows_every_benchmark_and_needs_nothing_else(self):
        names = ("open", "exec", 'odd <b>&"name"')
        a = self.put_result("a.json", result(1, benchmarks=names))
        b = self.put_result("b.json", result(2, benchmarks=names, scale=1.3, label="<script>alert(1)</script>"))
        self.assert_status(self.bench("compare", a, b, "--html", "page.html"), 0)
        with open(os.path.join(self.dir, "page.html"), encoding="utf-8") as f:
            text = f.read()
        self.assertNotIn("<script", text)
        self.assertNotIn("<b>&\"name", text)
        for word in ("href", "src=", "@import", "url("):
            self.assertNotIn(word, text)
        plots = re.findall(r"<svg viewBox=\"0 0 .*?</svg>", text, re.S)
        self.assertEqual(len(plots), 1 + len(names))
        self.assertIn("<p>Figures: 6 no difference seen; 3 slower.</p>", text)
        self.assertIn("<p>Cost over native: 3 no difference seen; 3 more.</p>", text)
        for table in re.findall("<table>.*?</table>", text, re.S):
            xml.etree.ElementTree.fromstring(table)
        self.assertRegex(text, r'<td class="name">open</td><td class="name">sluice</td>.*<td>\* slower</td>')
        for plot in plots:
            xml.etree.ElementTree.fromstring(plot)  # well-formed
            self.assertIn("class=\"label\"", plot)  # the axis says what it is

    @case
    def counts_verdicts_as_the_table_has_them(self):
        noisy, few = result(2, scale=1.3), result(2, scale=1.3, rounds=2)
        noisy["benchmarks"]["open"]["noisy"] = ["others"]
        other = result(2, scale=1.3)
        other["machine"]["cpu"] = "Another CPU"
        a = self.put_result("a.json", result(1))
        for b, said in ((noisy, "2 no difference seen; 1 slower, but noisy"), (few, "3 too few rounds"),
                        (other, "3 not judged")):
            self.assert_status(self.bench("compare", a, self.put_result("b.json", b), "--html", "page.html"), 0)
            with open(os.path.join(self.dir, "page.html"), encoding="utf-8") as f:
                text = f.read()
            self.assertIn("<p>Figures: %s.</p>" % said, text)
        self.assertIn('aria-label="cost over native: b against a"', text)

    @case
    def shows_a_single_result_too(self):
        a = self.put_result("a.json", result(1))
        self.assert_status(self.bench("compare", a, "--html", "page.html"), 0)
        with open(os.path.join(self.dir, "page.html"), encoding="utf-8") as f:
            self.assertIn('<td class="name">sluice</td><td class="n">10.82</td><td>us</td>', f.read())


    @case
    def replaces_pages_and_nothing_else(self):
        a, b = self.put_result("a.json", result()), self.put_result("b.json", result(2))
        for words in (["--html", a, b], [a, b, "--html", b], [a, "--html", a]):
            before = os.stat(a), os.stat(b)
            r = self.bench("compare", *words)
            self.assert_status(r, 2)
            self.assertIn("it is no page", r.err)
            self.assertEqual((os.stat(a), os.stat(b)), before)
        page = os.path.join(self.dir, "page.html")
        for _ in range(2):
            self.assert_status(self.bench("compare", a, b, "--html", page), 0)
        odd = self.put_result(os.fsdecode(b"\xff\x1b[31m.json"), result())
        r = self.bench("compare", a, odd, "--html", page)
        self.assert_status(r, 0)
        self.assertNotIn("\x1b", r.out + r.err)

    @case
    def tells_more_results_apart_than_there_are_colours(self):
        from suite import svg
        marks = [svg.mark(0, 0, n, 1, "") for n in range(36)]
        self.assertEqual(len(set(marks)), 36)

    @case
    def is_written_though_nobody_reads_the_table(self):
        a = self.put_result("a.json", result(1))
        script = '"$@" --html page.html | :'
        r = self._run(["bash", "-c", script, "bash", sys.executable, "-B", BENCH, "compare", a, a])
        self.assertEqual((r.status, r.err), (0, ""), r)
        self.assertGreater(os.path.getsize(os.path.join(self.dir, "page.html")), 5000)

    @case
    def goes_to_stdout_alone(self):
        a = self.put_result("a.json", result(1))
        r = self.bench("compare", a, a, "--html", "-")
        self.assert_status(r, 0)
        self.assertTrue(r.out.startswith("<!") and r.out.rstrip().endswith("</html>"), r)
        self.assertIn("no difference seen", r.err)
        self.assertEqual(os.listdir(self.dir), ["a.json"])


class Goals(BenchCase):
    def verdicts(self, r):
        from suite import table

        return {what: verdict for what, measured, *_, verdict in table.goals(r) if measured}

    def with_ratio(self, low, median, high, **more):
        r = result(**more)
        r["benchmarks"]["open"]["ratios"] = {"sluice": {"bare": {"median": median, "low": low, "high": high}}}
        return r

    @case
    def a_goal_is_judged_by_its_interval(self):
        what = "open, trapped, against bare"
        for low, median, high, verdict in ((1.01, 1.05, 1.09, "met"), (1.11, 1.2, 1.3, "NOT MET"),
                                           (1.05, 1.08, 1.12, "not shown: the bound is within the interval"),
                                           (1.05, 1.12, 1.2, "not shown: the bound is within the interval"),
                                           (None, 1.05, None, "not shown: fewer than 5 rounds")):
            self.assertEqual(self.verdicts(self.with_ratio(low, median, high)), {what: verdict})
        r = self.with_ratio(1.0, 1.05, 1.09, settings={"quick": True})
        self.assertEqual(self.verdicts(r), {what: "not shown: measured with --quick"})
        r = self.with_ratio(1.0, 1.05, 1.09, settings={"emulated": "tcg"})
        self.assertEqual(self.verdicts(r), {what: "not shown: emulated"})
        r = self.with_ratio(1.2, 1.25, 1.3)
        r["benchmarks"]["open"]["noisy"] = ["others"]
        self.assertEqual(self.verdicts(r), {what: "not shown: noisy"})
        r = self.with_ratio(1.0, 1.05, 1.09, settings={"jobs": 8})
        self.assertEqual(self.verdicts(r), {what: "not shown: the goals are for two CPUs and --jobs 2"})

    @case
    def beside_a_goal_stands_what_the_bare_mechanism_has(self):
        from suite import table

        r = self.with_ratio(1.11, 1.2, 1.3)
        floors = lambda: {what: floor for what, _, _, floor, _ in table.goals(r) if floor}
        self.assertEqual(floors(), {})
        r["benchmarks"]["open"]["ratios"]["bare-landlock"] = {"bare": {"median": 1.125, "low": 1.1, "high": 1.15}}
        self.assertEqual(floors(), {"open, trapped, against bare": "1.125 [1.100, 1.150] bare-landlock"})
        used = {"user_s": 1.0, "sys_s": 1.0, "value": 1.0, "round": 0}
        r["benchmarks"]["git"] = {"unit": "s", "ways": {"sluice": {"samples": [dict(used, supervisor_s=0.1)]},
                                                        "bare": {"samples": [dict(used, supervisor_s=0.05)]}}}
        self.assertEqual(floors()["supervisor's own CPU in a git build"], "2.50 % bare")

    @case
    def what_emulates_is_measured_against_the_emulating_floor(self):
        from suite import table

        medians = {"bare": 10.0, "bare-addfd": 20.0, "bare-addfd-send": 18.0, "sluice-emulate": 27.0}
        ways = {w: {"samples": [{"round": 0, "value": m}]} for w, m in medians.items()}
        ratios = {"bare": {"median": 2.7}, "bare-addfd": {"median": 1.35}, "bare-addfd-send": {"median": 1.5}}
        b = {"unit": "us", "ways": ways, "ratios": {"sluice-emulate": ratios, "sluice": ratios}}
        self.assertEqual(table.against_bare(b, "sluice-emulate"), {"median": 1.5})
        self.assertEqual(table.against_bare(b, "sluice"), {"median": 2.7})
        del ways["bare-addfd"], ways["bare-addfd-send"]
        self.assertEqual(table.against_bare(b, "sluice-emulate"), {"median": 2.7})

    @case
    def the_start_under_any_policy_has_one_goal(self):
        def start(us):
            return {"samples": [{"round": i, "value": us + i} for i in range(5)]}

        r = result(benchmarks=())
        r["benchmarks"]["start"] = {"unit": "us", "ways": {"native": start(1000), "sluice": start(5000),
                                                           "sluice-build": start(7000)}}
        self.assertEqual(self.verdicts(r), {"start under `open`, more than native": "met",
                                            "start under `build`, more than native": "NOT MET"})

    @case
    def a_goal_that_was_not_measured_is_named(self):
        from suite import table

        rows = list(table.goals(self.with_ratio(1.0, 1.05, 1.09)))
        text = " ".join(" ".join(table.show_goals(rows)).split())
        self.assertIn("Not measured in this run", text)
        for word in ("lua build, trapped", "Landlock alone", "configure", "forking neighbour", "git build", "start",
                     "10,000 tasks", "from a shell", "kept awake"):
            self.assertIn(word, text)

    @case
    def every_goal_has_a_benchmark_that_measures_it(self):
        from suite import registry, result as results, table

        for what, name, way, base, _, floor in table.RATIOS:
            b = registry.NAMES[name]
            self.assertIn(way, b.ways, what)
            if floor:
                self.assertIn(floor, b.ways, what)
                self.assertIn(base or "bare-addfd-send", b.bases, what)
            for wanted in [base] if base else ["bare-addfd", "bare-addfd-send"]:
                self.assertIn(wanted, b.ways, what)
                self.assertIn(wanted, [results.base_of(way, x) for x in b.bases], what)
            self.assertGreaterEqual(b.rounds, 5, what)


class Guest(BenchCase):
    def image(self, name, release, rest):
        """The header of a bzImage."""
        head = bytearray(0x1000)
        head[0x202:0x206] = b"HdrS"
        head[0x20e:0x210] = (0x800).to_bytes(2, "little")
        text = release.encode() + b" (who@where) #1 SMP\0"
        head[0xa00:0xa00 + len(text)] = text
        return self.put(name, bytes(head).decode("latin-1") + rest)

    @case
    def two_kernels_of_one_release_are_told_apart(self):
        path = os.path.join(os.path.dirname(BENCH), "kernels")
        if not os.path.exists(path):
            self.skip("bench/kernels is not beside this sluice-bench")
        loader = importlib.machinery.SourceFileLoader("kernels", path)
        kernels = importlib.util.module_from_spec(importlib.util.spec_from_loader("kernels", loader))
        loader.exec_module(kernels)
        labels = {}
        one = kernels.label_of(self.image("a/bzImage", "6.18.1", "first"), labels)
        two = kernels.label_of(self.image("b/bzImage", "6.18.1", "second"), labels)
        self.assertEqual("6.18.1", one)
        self.assertRegex(two, "^6.18.1-[0-9a-f]{8}$")
        self.assertEqual("6.19.0-rc1", kernels.label_of(self.image("c/bzImage", "6.19.0-rc1", ""), labels))
        self.assertEqual("other", kernels.label_of(self.put("other", "no kernel"), labels))
        with self.assertRaisesRegex(Exception, "the same image as 6.18.1"):
            kernels.label_of(self.image("d/bzImage", "6.18.1", "first"), labels)

    @case
    def a_closed_terminal_ends_qemu_and_removes_the_scratch_directory(self):
        path = os.path.join(os.path.dirname(BENCH), "kernels")
        if not os.path.exists(path) or not shutil.which("cmake") or not os.access(BUILD, os.W_OK):
            self.skip("needs bench/kernels, cmake, and a build directory that is ours")
        self.put("bin/qemu-system-x86_64", '#!/bin/sh\necho "$@" >words\nexec sleep 300\n', 0o755)
        p = self.start([sys.executable, "-B", path, self.image("bzImage", "6.18.1", ""), "--set", "", "--build", BUILD],
                       env={"PATH": "%s/bin:%s" % (self.dir, os.environ["PATH"])})
        words = os.path.join(self.dir, "words")
        self.wait_for("qemu", lambda: p.poll() is not None or os.path.exists(words) and os.path.getsize(words), 60)
        p.send_signal(signal.SIGHUP)
        out, err = p.communicate(timeout=30)
        if "static busybox is missing" in err:
            self.skip(err)
        self.assertEqual(p.returncode, 130, out + err)
        with open(words, encoding="utf-8") as f:
            self.assertFalse(os.path.exists(os.path.dirname(re.search(r"-initrd (\S+)", f.read())[1])))

    @case
    def mistakes_are_named_before_a_boot(self):
        path = os.path.join(os.path.dirname(BENCH), "kernels")
        if not os.path.exists(path):
            self.skip("bench/kernels is not beside this sluice-bench")
        self.put("bin/qemu-system-x86_64", "#!/bin/sh\n>booted\n", 0o755)
        image, file = self.image("bzImage", "6.18.1", ""), self.put("file")
        for argv, words in ((["--set", "opne"], "did you mean open?"), (["--ways", "slucie"], "no way called slucie"),
                            (["--rounds", "0"], "from 1 on"), (["--out", file], "File exists: '%s'" % file),
                            (["--script", self.dir], "Is a directory: '%s'" % self.dir)):
            r = self._run([sys.executable, "-B", path, image, "--build", BUILD, *argv],
                          env={"PATH": "%s/bin:%s" % (self.dir, os.environ["PATH"])})
            self.assertIn(r.status, (1, 2), r)
            self.assertIn(words, r.err)
            self.assertNotIn("Traceback", r.err)
        self.assertFalse(os.path.exists(os.path.join(self.dir, "booted")))

    @case
    def the_archive_of_a_guest_is_one_that_cpio_reads(self):
        from suite import guest

        tree = guest.Tree()
        tree.put("/a/b/file", b"content\n", 0o755)
        tree.put("/odd", b"12345")
        tree.link("/a/link", "b/file")
        path = os.path.join(self.dir, "archive")
        with open(path, "wb") as f:
            tree.archive(f)
        reader = shutil.which("cpio") or shutil.which("busybox")
        if not reader:
            self.skip("neither cpio nor busybox is installed")
        command = [reader] if reader.endswith("cpio") else [reader, "cpio"]
        # But for the console: only root may make it.
        r = self._run(["sh", "-c", '"$@" -id a a/b a/b/file a/link odd <archive', "sh", *command])
        self.assert_status(r, 0)
        with open(os.path.join(self.dir, "a/link"), "rb") as f:
            self.assertEqual(f.read(), b"content\n")
        self.assertTrue(os.access(os.path.join(self.dir, "a/b/file"), os.X_OK))
        self.assertEqual(os.path.getsize(os.path.join(self.dir, "odd")), 5)


class Statistics(BenchCase):
    @case
    def the_test_agrees_with_tables(self):
        from suite import stats

        # Two-sided exact p of complete separation: 2 / C(10, 5).
        self.assertAlmostEqual(stats.mann_whitney([1, 2, 3, 4, 5], [6, 7, 8, 9, 10]), 2 / 252)
        # U = 2: of the orders, one has U = 0, one U = 1, two U = 2.
        self.assertAlmostEqual(stats.mann_whitney([1, 2, 5, 6, 3.5], [4, 7, 8, 9, 10]), 2 * 4 / 252)
        self.assertAlmostEqual(stats.mann_whitney([1, 1, 1, 1], [1, 1, 1, 1]), 1.0)

    @case
    def each_way_comes_equally_often_after_each_other_one(self):
        from suite import stats

        for n in range(2, 13):
            places, pairs = {}, {}
            for number in range(2 * n):
                order = stats.order(n, number)
                self.assertEqual(sorted(order), list(range(n)))
                for at in enumerate(order):
                    places[at] = places.get(at, 0) + 1
                for pair in zip(order, order[1:]):
                    pairs[pair] = pairs.get(pair, 0) + 1
            self.assertEqual((len(places), set(places.values())), (n * n, {2}))
            self.assertEqual((len(pairs), set(pairs.values())), (n * (n - 1), {2}))

    @case
    def the_interval_belongs_to_the_test(self):
        from suite import stats

        rng = random.Random(7)
        for _ in range(200):
            a = [rng.gauss(10, 1) for _ in range(8)]
            b = [rng.gauss(11, 1) for _ in range(9)]
            _, low, high = stats.quotient(a, b)
            self.assertEqual(stats.mann_whitney(a, b) < 0.05, not low <= 1 <= high)

    @case
    def the_interval_of_a_median_is_that_of_the_sign_test(self):
        from suite import stats

        for n in (5, 6, 8, 9, 12, 20, 51, 100, 4000):
            low, high, level = stats.median_interval(range(n))
            self.assertEqual(high, n - 1 - low)
            self.assertEqual(level, 1 - 2 * sum(math.comb(n, i) for i in range(low + 1)) / 2 ** n)
            self.assertGreaterEqual(level, 0.93)
            self.assertLess(1 - 2 * sum(math.comb(n, i) for i in range(low + 2)) / 2 ** n, 0.95)

    @case
    def the_interval_of_a_median_covers_it(self):
        from suite import stats

        rng, covered = random.Random(3), 0
        self.assertIsNone(stats.median_interval([1, 2, 3, 4]))
        for _ in range(1000):
            low, high, level = stats.median_interval([rng.expovariate(1) for _ in range(11)])
            self.assertGreaterEqual(level, 0.93)
            covered += low <= 0.6931 <= high
        self.assertGreater(covered, 930)


class Runs(BenchCase):
    def run_bench(self, *argv, **how):
        if not os.path.exists(os.path.join(BUILD, "bench/open-loop")):
            self.skip("the programs of bench/ are not beside this build")
        return self.bench("run", "--build", BUILD, *argv, **how)

    @case
    def the_smallest_set_runs_and_compares(self):
        r = self.run_bench("ci", "--quick", "--rounds", "1", "-o", "out.json")
        self.assert_status(r, 0)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            found = json.load(f)
        self.assertTrue(found["complete"])
        for name in ("open", "open-emulated", "exec", "start"):
            ways = found["benchmarks"][name]["ways"]
            self.assertTrue(ways["native"]["samples"])
            self.assertTrue(any(w.startswith("sluice") for w in ways), ways.keys())
            for way, w in ways.items():
                self.assertNotIn("failed", w, way)
        self.assertGreater(found["benchmarks"]["open"]["ways"]["sluice"]["samples"][0]["counters"]["notifications"],
                           1000)
        r = self.bench("compare", "out.json", "out.json", "--html", "page.html")
        self.assert_status(r, 0)

    @case
    def a_command_that_breaks_is_said_and_the_rest_goes_on(self):
        r = self.run_bench("open", "--quick", "--rounds", "1", "--ways", "native,odd",
                           "--with", "odd=sh -c [\\ $1\\ =\\ true\\ ]", "-o", "out.json")
        self.assertIn(r.status, (0, 1), r)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            self.assertTrue(json.load(f)["benchmarks"]["open"]["ways"]["native"]["samples"])

    @case
    def what_is_absent_is_said_and_left_out(self):
        r = self.run_bench("open", "--quick", "--rounds", "1", "--with", "gone=/no/such/tool", "-o", "out.json")
        self.assert_status(r, 0)
        self.assertIn("gone: left out", r.err)
        r = self.run_bench("memory", "--quick", "--rounds", "1", "--ways", "native,sluice", "-o", "out2.json")
        self.assertIn("native: none of these benchmarks has that way", r.err)
        self.assertNotIn("sluice: none of", r.err)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            self.assertIn("gone", json.load(f)["absent"])

    @case
    def an_interrupted_run_keeps_what_it_has(self):
        self.interrupted_keeps_what_it_has(signal.SIGTERM)

    @case
    def a_run_whose_terminal_is_closed_keeps_what_it_has(self):
        self.interrupted_keeps_what_it_has(signal.SIGHUP)

    def interrupted_keeps_what_it_has(self, number):
        if not os.path.exists(os.path.join(BUILD, "bench/open-loop")):
            self.skip("the programs of bench/ are not beside this build")
        # As a shell starts a job in the background: without SIGINT.
        p = self.start(["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-B", BENCH, "run", "open",
                        "neighbour", "--build", BUILD, "--rounds", "20", "--quick", "--ways", "native,sluice",
                        "-o", "out.json", "--work", self.root])
        # It is written after the first of the two; the second takes minutes.
        self.wait_for("a first result", lambda: os.path.exists(os.path.join(self.dir, "out.json")), 60)
        time.sleep(0.3)
        p.send_signal(number)
        p.send_signal(number)
        out, err = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 130, out + err)
        self.assertEqual(glob.glob(self.root + "/sluice-bench.*"), [])
        self.assertIn("INCOMPLETE", out)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            found = json.load(f)
        self.assertFalse(found["complete"])
        self.assertTrue(found["benchmarks"]["open"]["ways"]["native"]["samples"])
        self.assertIn("Incomplete", self.bench("compare", "out.json", "out.json").out)

    def smallest(self, *argv):
        return self.run_bench("open", "--quick", "--rounds", "1", "--ways", "native", *argv)

    @case
    def the_result_goes_where_a_link_leads_and_into_a_pipe(self):
        self.put("old.json", "old")
        os.symlink("old.json", os.path.join(self.dir, "link"))
        self.assert_status(self.smallest("-o", "link"), 0)
        self.assertTrue(os.path.islink(os.path.join(self.dir, "link")))
        os.mkfifo(os.path.join(self.dir, "pipe"))
        reader = self.start(["cat", "pipe"])
        r = self.smallest("-o", "pipe")
        self.assert_status(r, 0)
        self.assertIn("native", r.out)
        with open(os.path.join(self.dir, "old.json"), encoding="utf-8") as f:
            for found in (json.load(f), json.loads(reader.communicate(timeout=10)[0])):
                self.assertTrue(found["complete"])
        self.assertEqual(sorted(os.listdir(self.dir)), ["link", "old.json", "pipe"])
        os.symlink("/dev/null", os.path.join(self.dir, "null"))
        self.assert_status(self.smallest("-o", "null"), 0)
        self.assertFalse(os.path.isfile("/dev/null"))

    @case
    def a_relative_work_directory_and_sluice_are_found(self):
        os.symlink(os.path.join(BUILD, "sluice"), os.path.join(self.dir, "mine"))
        os.mkdir(os.path.join(self.dir, "work"))
        r = self.run_bench("open", "--quick", "--rounds", "1", "--ways", "native,sluice", "--work", "work", "--sluice",
                           "./mine", "-o", "out.json")
        self.assert_status(r, 0)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            ways = json.load(f)["benchmarks"]["open"]["ways"]
        self.assertTrue(ways["native"]["samples"] and ways["sluice"]["samples"])

    @case
    def a_result_names_its_sluice_and_tells_that_it_was_changed(self):
        import hashlib

        with open(os.path.join(BUILD, "sluice"), "rb") as f:
            digest = hashlib.sha256(f.read()).hexdigest()
        sluice = os.path.join(self.dir, "mine")
        for command, changed in (("true", False), ("echo >>%s" % sluice, True)):
            shutil.copy(os.path.join(BUILD, "sluice"), sluice)
            r = self.run_bench("open", "--quick", "--rounds", "1", "--ways", "native,odd", "--sluice", sluice,
                               "--with", "odd=sh %s" % self.put("odd.sh", command + '\nexec "$@"\n'), "-o", "out.json")
            self.assert_status(r, 0)
            with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
                found = json.load(f)
            self.assertEqual("open: the program sluice was changed during this run" in found["noisy"], changed)
            self.assertIn("(sha256 %s)" % digest[:16], found["versions"]["sluice"])

    @case
    def a_directory_may_have_any_name(self):
        work = os.path.join(self.dir, "it's \"odd\" [*]")
        os.mkdir(work)
        os.symlink(BUILD, os.path.join(work, "build"))
        r = self.run_bench("start", "pending", "memory", "--quick", "--rounds", "1", "--ways",
                           "native,sluice,sluice-build", "--build", os.path.join(work, "build"), "--work", work,
                           "-o", "out.json")
        self.assert_status(r, 0)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            found = json.load(f)
        if "pending" in found["absent"] and "descriptors" in found["absent"].pop("pending"):
            found["benchmarks"]["pending"] = None
        self.assertEqual(found["absent"], {})
        self.assertEqual(set(found["benchmarks"]), {"start", "pending", "memory"})

    @case
    def with_a_dash_stdout_is_the_result_alone(self):
        for name in ("-", "/dev/stdout"):
            r = self.smallest("-o", name)
            self.assert_status(r, 0)
            self.assertTrue(json.loads(r.out)["complete"])
            self.assertIn("against native", r.err)
        self.assertEqual(os.listdir(self.dir), [])

    @case
    def what_was_measured_is_shown_though_it_can_not_be_written(self):
        r = self.smallest("-o", "/dev/full")
        self.assert_status(r, 2)
        self.assertIn("against native", r.out)
        self.assertIn("the result is lost: -o /dev/full: No space left", r.err)
        self.assertNotIn("Traceback", r.err)

    @case
    def interrupted_at_its_start_it_leaves_nothing(self):
        if not os.path.exists(os.path.join(BUILD, "bench/open-loop")):
            self.skip("the programs of bench/ are not beside this build")
        # Tells its version at once, to the command line, and then only after a while.
        slow = self.put("slow", '#!/bin/sh\nif [ -e asked ]; then >again; exec sleep 60; fi\n>asked; echo 1\n', 0o755)
        p = self.start([sys.executable, "-B", BENCH, "run", "open", "--build", BUILD, "--sluice", slow, "--work",
                        self.root, "-o", "out.json"])
        self.wait_for("a question", lambda: os.path.exists(os.path.join(self.dir, "again")), 30)
        time.sleep(0.3)  # as far as a child that is waited for
        p.send_signal(signal.SIGTERM)
        out, err = p.communicate(timeout=30)
        self.assertEqual(p.returncode, 130, out + err)
        self.assertIn("interrupted before anything was measured", err)
        self.assertEqual(sorted(os.listdir(self.dir)), ["again", "asked", "slow"])
        self.assertEqual(glob.glob(self.root + "/sluice-bench.*"), [])

    @case
    def only_tools_that_are_used_are_asked_for_their_version(self):
        for name in ("cargo", "npm", "strace", "hyperfine"):
            self.put("bin/" + name, '#!/bin/sh\necho "$0" >>%s/asked\necho 1\n' % self.dir, 0o755)
        r = self.run_bench("open", "--quick", "--rounds", "1", "--ways", "native,strace", "-o", "out.json",
                           env={"PATH": "%s/bin:%s" % (self.dir, os.environ["PATH"])})
        self.assert_status(r, 0)
        with open(os.path.join(self.dir, "asked"), encoding="utf-8") as f:
            self.assertEqual(set(f.read().split()), {self.dir + "/bin/strace"})
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            self.assertEqual(set(json.load(f)["versions"]), {"sluice", "strace"})

    @case
    def spinners_are_not_the_noise_of_others(self):
        from suite import machine, measure

        with measure.Spinners() as spinners:
            without, with_them = machine.Activity(spinners.pids()), machine.Activity()
            used = lambda: sum(map(machine.cpu_seconds, spinners.pids()))
            began = used()
            self.wait_for("the spinners", lambda: used() - began > 0.1, 60)
            with_them, without = with_them.since(), without.since()
        self.assertGreater(with_them["others"] - without["others"], 0.05)

    @case
    def a_quick_run_expects_less(self):
        from suite import runner, storms
        from suite.progress import Progress

        made, left = runner.Runner.__new__(runner.Runner), []
        made.progress = Progress(quiet=True)
        for quick in (False, True):
            made.options = type("Options", (), {"quick": quick, "rounds": 3})
            made.expect(storms.ExecStorm(), ["native", "sluice"])
            left.append(made.progress.left_s())
        self.assertLess(left[1], left[0] / 5)

    @case
    def rounds_with_spinners_are_watched_for_noise_too(self):
        from suite import runner, storms
        from suite.progress import Progress

        seen = []
        made = runner.Runner.__new__(runner.Runner)
        made.sample = lambda b, entry, way, number, place, looks, spinners: seen.append((looks, spinners.pids()))
        made.dropped, made.ctx, looks = set(), None, []
        made.progress = Progress(quiet=True)
        made.round(storms.OpenEmulatedBusy(), {"ways": {}}, ["native"], 0, 1, looks)
        self.assertEqual(len(seen), 1)
        self.assertIs(seen[0][0], looks)
        self.assertTrue(seen[0][1])

    @case
    def a_dry_run_tells_what_would_be_done_and_does_nothing(self):
        before = sorted(os.listdir(self.dir))
        work = os.path.join(self.root, "work")
        os.mkdir(work)
        r = self.run_bench("open", "crowd", "lua", "--dry-run", "--rounds", "7", "--work", work, "--cache",
                           os.path.join(work, "cache"), "--with", "gone=/no/such/tool", "--ways", "native,sluice,gone")
        self.assert_status(r, 0)
        self.assertRegex(r.out, r"(?m)^open: open and close, allowed\n  7 rounds of native; sluice: about \d+ s$")
        self.assertRegex(r.out, r"(?m)^  7 rounds of native; native, crowd; sluice; sluice, crowd: about ")
        self.assertRegex(r.out, r"(?m)^lua: .*\n  7 rounds of native; sluice: about \d+ min\n(  first installs .*\n)?"
                                "  first fetches into %s/cache/lua$" % work)
        self.assertIn("\n  gone: /no/such/tool: No such file or directory\nIn all about ", r.out)
        self.assertEqual((os.listdir(work), sorted(os.listdir(self.dir)), r.err), ([], before, ""))

    @case
    def a_dry_run_tells_what_cannot_be_done(self):
        os.mkdir(os.path.join(self.root, "bin"))
        r = self.run_bench("npm", "--dry-run", "--ways", "native",
                           env=dict(os.environ, PATH=os.path.join(self.root, "bin")))
        self.assert_status(r, 0)
        self.assertIn("npm ci, from its cache\n  left out: npm is not installed\n", r.out)

    @case
    def every_way_of_a_benchmark_can_be_asked_for(self):
        from suite import main, registry

        known = {w for b in registry.ALL for w in b.ways}
        self.assertEqual(main.words_of("pool,sluice, crowd,native, bare", known, ""),
                         ["pool", "sluice, crowd", "native", "bare"])

    @case
    def the_micro_benchmarks_have_the_ways_that_the_suite_knows(self):
        from suite import registry, result as results

        for name in ("micro-notify", "micro-targets"):
            b, program = registry.NAMES[name], os.path.join(BUILD, "bench", name.replace("-", "_"))
            if not os.path.exists(program):
                self.skip("there is no Google Benchmark in this build")
            r = self.native(program, "--benchmark_list_tests=true")
            self.assert_status(r, 0)
            self.assertEqual(set(re.findall(r"/way:([^/\n]*)", r.out)), set(b.ways))
            for way in b.ways:
                self.assertEqual(results.base_of(way, "native"), "native")

    @case
    def mistakes_are_named(self):
        for argv, word in ((["opne"], "did you mean open?"), (["open", "--ways", "x"], "no way called x"),
                           (["open", "--with", "x"], "--with x: write"), (["open", "--rounds", "0"], "from 1 on"),
                           (["open", "-o", "/no/where.json"], "can't write"),
                           (["open", "-o", "/proc/x.json"], "can't write"), (["open", "-o", "."], "Is a directory"),
                           (["open", "-o", "x" * 300], "name too long"), (["open", "--work", "/proc"], "--work"),
                           (["open", "--work", "/proc", "--dry-run"], "--work"),
                           (["open", "--sluice", "/no/sluice"], "no sluice that runs"),
                           (["open", "--sluice", __file__], "no sluice that runs")):
            r = self.bench("run", *argv)
            self.assert_status(r, 2)
            self.assertIn(word, r.err)
            self.assertNotIn("Traceback", r.err)

    @case
    def every_stage_of_the_micro_benchmarks_works(self):
        steps = os.path.join(BUILD, "bench/steps")
        if not os.path.exists(steps):
            self.skip("the programs of bench/ are not beside this build")
        stages = [line.split()[0] for line in self.native(steps).out.splitlines()]
        self.assertGreater(len(stages), 15)
        for stage in stages:
            self.assert_status(self.native(steps, stage, "3"), 0)

    @case
    def the_bare_floors_do_what_the_command_does(self):
        bare = os.path.join(BUILD, "bench/bare")
        if not os.path.exists(bare):
            self.skip("the programs of bench/ are not beside this build")
        self.put("in", "content\n")
        script = "cat %s/in nothing; echo more >out; cat out; exit 3" % self.dir
        native = self.native("sh", "-c", script)
        for options in ([], ["-t", "open,exec"], ["-e", "two-step"], ["-e", "send"]):
            r = self.native(bare, *options, "--", "sh", "-c", script)
            self.assertEqual((r.status, r.out, r.err), (native.status, native.out, native.err), options)
        stats = os.path.join(self.dir, "stats")
        self.assert_status(self.native(bare, "-s", stats, "--", "cat", os.path.join(self.dir, "in")), 0)
        with open(stats, encoding="utf-8") as f:
            used = json.load(f)
        self.assertGreater(used["notifications"], 1)
        self.assertGreater(used["supervisor_user_us"] + used["supervisor_system_us"], 0)

    @case
    def list_shows_sets_benchmarks_and_ways(self):
        r = self.bench("list")
        self.assert_status(r, 0)
        for word in ("floor", "open-emulated", "tinyconfig", "bare-addfd-send", "pool-uring", "sluice, crowd"):
            self.assertIn(word, r.out)
        for name in ("builds", "open", "micro-targets"):
            self.assertRegex(r.out, r"(?m)^%s .*\d (s|min)  " % name)


class Instructions(BenchCase):
    @case
    def no_stage_takes_many_more_instructions_than_it_did(self):
        """A benchmark without a clock: bounds are half as much again as what was counted, or more."""
        script = os.path.join(TOP, "perf/instructions")
        if not os.path.exists(script) or not os.path.exists(os.path.join(BUILD, "bench/steps")):
            self.skip("perf/ or the programs of bench/ are not beside this build")
        if not shutil.which("valgrind"):
            self.skip("valgrind is not installed")
        r = self._run([sys.executable, "-B", script, "--build", BUILD, "--check"], timeout=240)
        self.assert_status(r, 0)
        with open(os.path.join(TOP, "perf/instructions.json"), encoding="utf-8") as f:
            self.assertEqual(len(re.findall(r" ok$", r.out, re.M)), len(json.load(f)), r)

    @case
    def no_notification_takes_more_system_calls_than_it_did(self):
        """The other benchmark without a clock. Half a call is what waiting and promotions may add."""
        script = os.path.join(TOP, "perf/calls")
        if not os.path.exists(script) or not os.path.exists(os.path.join(BUILD, "bench/open-loop")):
            self.skip("perf/ or the programs of bench/ are not beside this build")
        if not shutil.which("strace"):
            self.skip("strace is not installed")
        if os.geteuid() != 0:
            self.skip("only root may trace sluice")
        for what, most in ((["--", "-p", "open"], 3), (["--", "-p", "open", "--layers", "emulate"], 9),
                           (["--relative", "--", "-p", "open"], 4),
                           (["--relative", "--", "-p", "open", "--layers", "emulate"], 10),
                           (["--op", "create"], 13)):
            r = self._run([sys.executable, "-B", script, "--build", BUILD, "--seconds", "0.5", *what], timeout=60)
            if "Operation not permitted" in r.err:
                self.skip("this root may not trace: " + r.err.strip()[-200:])
            self.assert_status(r, 0)
            found = re.search(r"(\d+) notifications under strace, ([\d.]+) calls for each", r.out)
            self.assertGreater(int(found[1]), 100, r)
            self.assertLess(float(found[2]), most + 0.5, r)


    @case
    def mistakes_of_calls_and_instructions_are_named(self):
        if not os.path.exists(os.path.join(TOP, "perf")) or not os.path.exists(os.path.join(BUILD, "bench/steps")):
            self.skip("perf/ or the programs of bench/ are not beside this build")
        without = {"PATH": self.dir}
        for name, argv, env, words in (("calls", ["--seconds", "-1"], None, "more than 0"),
                                       ("calls", [], without, "strace is not installed"),
                                       ("instructions", ["nosuch"], None, "no such stage: nosuch (there are: ")):
            if name == "instructions" and not shutil.which("valgrind"):
                continue
            r = self._run([sys.executable, "-B", os.path.join(TOP, "perf", name), "--build", BUILD, *argv], env=env)
            self.assertIn(r.status, (1, 2), r)
            self.assertIn(words, r.err)
            self.assertNotIn("Traceback", r.err)


class Words(BenchCase):
    def options(self, command):
        text = self.bench(command, "--help").out
        found = set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", text)) - {"--help"}
        self.assertTrue(found)
        return found

    @case
    def help_manual_and_completions_name_the_same_options(self):
        shown = self.options("run") | self.options("compare")
        with open(os.path.join(TOP, "man/sluice-bench.1"), encoding="utf-8") as f:
            page = f.read()
        self.assertEqual(set("--" + o for o in re.findall(r"(?m)^\.It Fl .*?-([a-z][a-z-]+)", page)), shown)
        for name, form in (("sluice-bench.bash", "%s"), ("_sluice-bench", "%s"), ("sluice-bench.fish", "-l %s")):
            with open(os.path.join(TOP, "completions", name), encoding="utf-8") as f:
                text = f.read()
            for option in shown:
                self.assertIn(form % (option if form == "%s" else option[2:]), text, name)

    @case
    def its_version_is_that_of_sluice(self):
        r = self.bench("--version")
        self.assert_status(r, 0)
        self.assertEqual(r.out, "sluice-bench" + self.native(os.path.join(BUILD, "sluice"), "--version").out[6:])

    @case
    def completions_parse(self):
        for shell, name in (("bash", "sluice-bench.bash"), ("zsh", "_sluice-bench"), ("fish", "sluice-bench.fish")):
            if shutil.which(shell):
                r = self.native(shell, "-n", os.path.join(TOP, "completions", name))
                self.assertEqual((r.status, r.err), (0, ""), r)

    @case
    def bash_completes_names(self):
        os.symlink(BENCH, os.path.join(self.root, "sluice-bench"))
        script = ('. %s/completions/sluice-bench.bash; PATH=%s:$PATH; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1));'
                  ' _sluice_bench; echo "${COMPREPLY[@]}"' % (TOP, self.root))
        for words, wanted in ((["run", "open-e"], "open-emulated"), (["run", "--ways", "stra"], "strace"),
                              (["run", "--ways", "native,bare,stra"], "native,bare,strace")):
            self.assertIn(wanted, self.native("bash", "-c", script, "bash", "sluice-bench", *words).out.split())

    @case
    def installed_it_runs_with_its_own_parts(self):
        if not shutil.which("cmake") or not os.access(BUILD, os.W_OK):
            self.skip("needs cmake, and a build directory that is ours")
        prefix = os.path.join(self.root, "usr")
        self.assert_status(self.native("cmake", "--install", BUILD, "--prefix", prefix), 0)
        r = self._run([sys.executable, "-B", os.path.join(prefix, "bin/sluice-bench"), "run", "open", "--quick",
                       "--rounds", "1", "--ways", "native,landlock,sluice", "-o", "out.json"])
        self.assert_status(r, 0)
        with open(os.path.join(self.dir, "out.json"), encoding="utf-8") as f:
            found = json.load(f)
        self.assertEqual(found["absent"], {})
        self.assertTrue(found["benchmarks"]["open"]["ways"]["landlock"]["samples"])


if LAYERS != "auto":  # it measures all modes itself: once is enough
    del Compare, Show, Page, Goals, Statistics, Runs, Guest, Instructions, Words
