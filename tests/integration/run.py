#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the integration tests: one line a test, the details of a failure at once, the sum at the end."""

import argparse
import importlib
import os
import re
import sys
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


class Lines(unittest.TestResult):
    def __init__(self, label):
        super().__init__()
        self.label, self.passed, self.began, self.current_failed = label, 0, 0.0, False

    def name(self, test):
        return "%s %s.%s" % (self.label, type(test).__module__, test._testMethodName)

    def startTest(self, test):
        super().startTest(test)
        self.began, self.current_failed = time.monotonic(), False

    def say(self, word, test, more=""):
        print("%-6s %s (%.2f s)%s" % (word, self.name(test), time.monotonic() - self.began, more), flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.say("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("SKIP", test, ": " + reason)

    def fail_with(self, test, err):
        # A clean-up that fails after the test did counts once.
        if not self.current_failed:
            self.failures.append((test, ""))
            self.say("FAILED", test)
        self.current_failed = True
        text = str(err[1]) if issubclass(err[0], AssertionError) else "".join(traceback.format_exception(*err))
        print("\n".join("    " + line for line in text.splitlines()), flush=True)

    def addFailure(self, test, err):
        self.fail_with(test, err)

    def addError(self, test, err):
        self.fail_with(test, err)


class Loader(unittest.TestLoader):
    def getTestCaseNames(self, cls):
        return [n for n in dir(cls) if getattr(getattr(cls, n), "is_case", False)]


def collect(suite):
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            yield from collect(t)
        else:
            yield t


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--build", help="the build directory (default: build of this repository)")
    p.add_argument("--layers", choices=["auto", "emulate"], default=os.environ.get("SLUICE_TEST_LAYERS", "auto"))
    p.add_argument("--only", default="", metavar="PATTERN", help="a regular expression on MODULE.TEST")
    p.add_argument("--list", action="store_true", help="only print the names")
    a = p.parse_args()
    if a.build:
        os.environ["SLUICE_BUILD"] = os.path.abspath(a.build)
    os.environ["SLUICE_TEST_LAYERS"] = a.layers
    sys.path.insert(0, HERE)
    os.umask(0o022)
    importlib.import_module("harness").adopt_orphans()
    loader, tests = Loader(), []
    for file in sorted(os.listdir(HERE)):
        if re.fullmatch(r"test_\w+\.py", file):
            module = importlib.import_module(file[:-3])
            tests += [t for t in collect(loader.loadTestsFromModule(module))
                      if re.search(a.only, "%s.%s" % (file[:-3], t._testMethodName))]
    if a.list:
        for t in tests:
            print("%s.%s" % (type(t).__module__, t._testMethodName))
        return 0
    result = Lines("[%s %s]" % ("root" if os.geteuid() == 0 else "user", a.layers))
    for t in tests:
        t.run(result)
    print("integration: %d passed, %d failed, %d skipped"
          % (result.passed, len(result.failures), len(result.skipped)), flush=True)
    return 1 if result.failures else 0


if __name__ == "__main__":
    sys.exit(main())
