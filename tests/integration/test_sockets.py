# SPDX-License-Identifier: Apache-2.0
"""Sockets: what is bound, connected and sent on a target's behalf or without it."""

import os
import socket
import threading

from harness import PROGRAMS, SluiceCase, case

NAME = """
import os, socket
path = os.path.join(os.getcwd(), "deep/er/socket")
os.makedirs(os.path.dirname(path))
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
client = socket.socket(socket.AF_UNIX)
client.connect(server.getsockname())
print(server.getsockname() == path)
"""

# Each way to send a datagram, to the port in argv[1]. What arrives says which it was.
DATAGRAMS = """
import ctypes, socket, sys
to = ("127.0.0.1", int(sys.argv[1]))
def mapped(s, data): s.sendto(data, ("::ffff:127.0.0.1", to[1]))
def connected(s, data): s.connect(to); s.send(data)
def message(s, data): s.sendmsg([data], [], 0, to)
def messages(s, data):
    class iovec(ctypes.Structure): _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]
    class mmsghdr(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint), ("iov", ctypes.POINTER(iovec)),
                    ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                    ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]
    name = socket.AF_INET.to_bytes(2, "little") + to[1].to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    iov = iovec(data, len(data))
    ctypes.CDLL(None).sendmmsg(s.fileno(), ctypes.byref(mmsghdr(name, 16, ctypes.pointer(iov), 1)), 1, 0)
for family, way in ((2, lambda s, data: s.sendto(data, to)), (10, mapped), (2, connected), (2, message), (2, messages)):
    try:
        way(socket.socket(family, socket.SOCK_DGRAM), way.__name__.encode())
    except OSError:
        pass
"""
WAYS = {b"<lambda>", b"mapped", b"connected", b"message", b"messages"}

# sendto with an address that names no peer of a datagram.
ADDRESSED = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def sent(s, address):
    r = libc.sendto(s.fileno(), b"x", 1, 0, address, len(address))
    return r if r >= 0 else errno.errorcode[ctypes.get_errno()]
un = b"\\1\\0there\\0"
print("interfaces", "lo" in [name for _, name in socket.if_nameindex()])
print("stream", sent(socket.socket(socket.AF_UNIX), un))
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    print("pair", kind, sent(socket.socketpair(socket.AF_UNIX, kind)[0], un))
"""

# More connects at once than there are threads for one process, to a server that accepts none of them until it is told.
CROWD = """
import collections, socket, threading, time
results = collections.Counter()
def connect():
    s = socket.socket(socket.AF_UNIX)
    try: s.connect("server"); results["connected"] += 1
    except OSError as e: results[e.strerror] += 1
threads = [threading.Thread(target=connect) for _ in range(120)]
[t.start() for t in threads]
time.sleep(0.5)
early = sum(results.values())
open("go", "w").close()
[t.join() for t in threads]
print(early, dict(results))
"""

BIND_ONLY = "{base}\nallow all {dir}\nallow bind *:*\n"


class Sockets(SluiceCase):
    def datagrams(self, run):
        """What arrives of them."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(server.close)
        server.bind(("127.0.0.1", 0))
        server.setblocking(False)
        run("/usr/bin/python3", "-c", DATAGRAMS, str(server.getsockname()[1]))
        got = set()
        try:
            while True:
                got.add(server.recv(100))
        except BlockingIOError:
            return got

    def accept_when_told(self, server, accepted):
        self.wait_for("the crowd", lambda: os.path.exists(os.path.join(self.dir, "go")), 20)
        server.settimeout(20)
        for _ in range(120):
            accepted.append(server.accept()[0])

    def crowd(self, run):
        path = os.path.join(self.dir, "server")
        accepted = []
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen(0)
            thread = threading.Thread(target=self.accept_when_told, args=(server, accepted))
            thread.start()
            r = run("/usr/bin/python3", "-c", CROWD)
            thread.join()
        for s in accepted:
            s.close()
        os.unlink(path)
        os.unlink(os.path.join(self.dir, "go"))
        return r.out

    @case
    def many_blocked_connects_wait_as_natively(self):
        self.assertEqual("1 {'connected': 120}\n", self.crowd(self.native))
        policy = "{base}\nallow all {dir}\n"
        self.assertEqual("1 {'connected': 120}\n", self.crowd(lambda *argv: self.sluice(*argv, policy=policy)))

    @case
    def denies_a_listen_that_would_bind(self):
        race = self.program("listen_race")
        self.assert_status(self.native(race), 1)
        rules = "{base}\nallow all {dir}\nallow connect *:*\n"
        self.assert_status(self.sluice(race, policy=rules + "allow bind *:*\n"), 1)
        for refused in ("", "report none\n", "never bind *:*\n"):
            r = self.sluice(race, policy=rules + refused, record=True)
            self.assert_status(r, 0)
            self.assertIn("0.0.0.0:0", [d.get("address") for d in r.records if d.get("op") == "bind"], r.records)

    @case
    def an_address_that_is_no_peer_is_sent_with_as_natively(self):
        native = self.native("/usr/bin/python3", "-c", ADDRESSED)
        self.assertIn("interfaces True\n", native.out, native)
        for policy in ("build", "open", BIND_ONLY, BIND_ONLY + "allow connect *:*\n"):
            self.assertEqual(native.out, self.sluice("/usr/bin/python3", "-c", ADDRESSED, policy=policy).out)

    @case
    def denies_datagrams_where_connect_is_refused(self):
        self.assertEqual(WAYS, self.datagrams(self.native))
        allowed = BIND_ONLY + "allow connect *:*\n"
        self.assertEqual(WAYS, self.datagrams(lambda *argv: self.sluice(*argv, policy=allowed)))
        for refused in ("", "deny connect *:*\n", "never connect *:*\n"):
            self.assertEqual(set(), self.datagrams(lambda *argv, p=BIND_ONLY + refused: self.sluice(*argv, policy=p)))

    def race(self, run):
        """In a fresh place; sluice protects HOME/.config/sluice by a never, whatever the policy."""
        home = os.path.join(self.dir, "home%d" % len(os.listdir(self.dir)))
        kept, work = os.path.join(home, ".config/sluice"), os.path.join(home, "work")
        os.makedirs(kept)
        os.makedirs(os.path.join(work, "d"))
        os.symlink(kept, os.path.join(work, "l"))
        helper = self.start([os.path.join(PROGRAMS, "bind_race"), "swap"], cwd=work)
        self.addCleanup(self.kill_session, helper)
        return run(os.path.join(PROGRAMS, "bind_race"), kept, env={"HOME": home}, cwd=work)

    @case
    def denies_a_socket_where_a_link_leads_meanwhile(self):
        self.assert_status(self.race(self.native), 1)
        self.assert_status(self.race(lambda *argv, **how: self.sluice(*argv, policy="open", **how)), 0)

    @case
    def a_server_can_be_reached_by_the_name_that_it_bound(self):
        self.assertEqual("True\n", self.native("python3", "-c", NAME).out)
        for name in os.listdir(self.dir):
            self.native("rm", "-r", name)
        self.assertEqual("True\n", self.sluice("python3", "-c", NAME, policy="open").out)
