# SPDX-License-Identifier: Apache-2.0
"""Socket files bound on a target's behalf: their names, and where they may be made."""

import os

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


class Sockets(SluiceCase):
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
