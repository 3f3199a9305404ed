#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of sluice's control socket, as small as one can be: sluice-protocol(7).

    sluice run --prompt socket -- make          in one terminal
    examples/prompt.py [SOCKET]                 in another

Asks on standard input what runs ask, one question at a time. Somebody who writes a dialog for an editor or a desktop
starts from here: connect, attach, show "words", send an answer with the question's number and nonce. A client that
reads slowly, or dies, costs the run nothing: the question goes to others, or is a no when its time is over.
"""
import glob
import json
import os
import socket
import sys

ANSWERS = {"y": ("yes", "once"), "r": ("yes", "run"), "d": ("yes", "directory"),
           "n": ("no", "once"), "N": ("no", "run"), "D": ("no", "directory"), "k": ("end", "once")}


def directories():
    if os.environ.get("XDG_RUNTIME_DIR"):
        yield os.path.join(os.environ["XDG_RUNTIME_DIR"], "sluice")
    yield "/run/user/%d/sluice" % os.geteuid()
    yield "/run/sluice" if os.geteuid() == 0 else os.path.expanduser("~/.config/sluice/run")


def connect(paths):
    """The first of the runs that answers."""
    for path in paths or [p for d in directories() for p in glob.glob(d + "/*.sock")]:
        run = socket.socket(socket.AF_UNIX)
        try:
            run.connect(path)
            return run.makefile("rw", encoding="utf-8", newline="\n")
        except OSError:
            run.close()
    sys.exit("nothing is running under sluice")


def send(run, **message):
    run.write(json.dumps(message) + "\n")
    run.flush()


def answer(run, question, key):
    word, scope = ANSWERS[key]
    send(run, type="answer", question=question["question"], nonce=question["nonce"], answer=word, scope=scope,
         count=question.get("count", 1))


def ask_key():
    while True:
        print("  y yes  r yes, this run  d yes, this directory  n N D no  k end: ", end="", flush=True)
        key = sys.stdin.readline().strip() or "n"
        if key in ANSWERS:
            return key


def main():
    run = connect(sys.argv[1:])
    hello = json.loads(run.readline())
    if hello["type"] != "hello" or hello["protocol"] != 1:
        sys.exit(hello.get("text", "this run speaks another protocol"))
    print("%s, pid %d" % (" ".join(hello["argv"]), hello["pid"]))
    send(run, type="attach")
    questions = {}
    while True:
        line = run.readline()
        if not line:
            return
        message = json.loads(line)
        if message["type"] == "question":
            questions[message["question"]] = message
        elif message["type"] == "decision":
            questions.pop(message["question"], None)
            print("%(answer)s: %(op)s %(path)s" % {**message, "path": ascii(message["path"])}, flush=True)
        elif message["type"] == "error":
            print("not taken: " + message["text"], flush=True)
        if message["type"] == "question" and len(questions) == 1 or \
                message["type"] in ("decision", "error") and questions:
            question = next(iter(questions.values()))
            print("\n" + question["words"], end="")
            answer(run, question, ask_key())


if __name__ == "__main__":
    main()
