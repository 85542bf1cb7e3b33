"""One thread waits for all: how exchanges end, what a stopped or starved process means, and what is told of it."""

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
from contextlib import contextmanager
from pathlib import Path

import pycurl

from pathspider.helpers import poller
from pathspider.helpers.http import connect_http
from pathspider.helpers.poller import Transfer, Wait
from pathspider.records import CONN_OK, CONN_SKIPPED, CONN_TIMEOUT
from tests.helpers import netlab
from tests.helpers.netlab import SOURCE, V4, V6, NetLab

CHILD = """
import json, sys, threading, time
from pathspider.helpers import poller
from pathspider.helpers.modes import connect
mode, address, port, count, timeout = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
connect(mode, (None, None), {"dip": address, "dp": port}, 1)  # all that is loaded late
results = []
def work():
    began = time.monotonic()
    result = connect(mode, ("10.9.0.1", "fd00:9::1"), {"dip": address, "dp": port, "domain": "example.org"}, timeout)
    ended = time.monotonic()
    if "client" in result:
        result.pop("client").close()
    results.append({**result, "began": began, "seconds": ended - began, "disturbance": poller.disturbance(began, ended),
                    "lag": poller.lag()})
threads = [threading.Thread(target=work) for _ in range(count)]
for thread in threads: thread.start()
while count > len(results) + len(poller._poller()._waiting) + len(poller._poller()._transfers): time.sleep(0.01)
print("waiting", flush=True)
for thread in threads: thread.join()
print(json.dumps(results))
"""


def setUpModule():
    global lab  # noqa: PLW0603
    lab = unittest.enterModuleContext(NetLab())


class Child:
    """A process that makes connections, and can be stopped."""

    def __init__(self, mode, port, count, timeout, address=V4):
        command = [sys.executable, "-c", CHILD, mode, address, str(port), str(count), str(timeout)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def asleep(self):
        """Whether all its threads wait for something."""
        folder = Path("/proc", str(self.process.pid), "task")
        states = {thread.joinpath("stat").read_text().rpartition(")")[2].split()[0] for thread in folder.iterdir()}
        return states == {"S"}

    def stop(self):
        """Stop it in its sleep; returns when the kernel says that it is."""
        while not self.asleep():
            pass
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def results(self):
        output, _ = self.process.communicate(timeout=60)
        return json.loads(output.splitlines()[-1])


class LabCase(unittest.TestCase):
    def child(self, *args, **options):
        child = Child(*args, **options)
        self.addCleanup(child.process.stdout.close)
        self.addCleanup(child.process.wait)
        self.addCleanup(child.process.kill)
        return child

    @contextmanager
    def at_the_server(self):
        home = netlab.namespace()
        netlab.enter(lab.server)
        try:
            yield
        finally:
            netlab.enter(home)
            os.close(home)

    def drop(self, port):
        """Drop what comes to a port of the server; what is returned undoes it."""
        with self.at_the_server():
            netlab.sh("nft -f -", "table inet later { chain input { type filter hook input priority -5;\n"
                                  f"tcp dport {port} drop\n}}\n}}\n")

        def undo():
            with self.at_the_server():
                netlab.sh("nft delete table inet later")
        return undo


class TestExchange(LabCase):
    def pair(self):
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        return ours, theirs

    def test_what_is_ready_is_found_in_the_callers_own_thread(self):
        ours, theirs = self.pair()
        theirs.send(b"x")
        threads = []

        def exchange():
            ready = yield Wait(ours, select.POLLIN, poller.clock() + 5)
            threads.append(threading.current_thread())
            return ready

        self.assertEqual(poller.run(exchange()), select.POLLIN)
        self.assertEqual(threads, [threading.current_thread()])

    def test_the_poller_begins_what_waits_in_any_case_for_a_thread_that_stays_in_its_network_namespace(self):
        one, found = poller.Poller(), {}

        def exchange():
            ours, its = socket.socketpair()
            with ours, its:
                its.send(b"x")
                began = threading.current_thread().name
                yield Wait(ours, select.POLLIN, one.attended.now() + 5)
            return began

        def work(name, elsewhere, stays):
            if elsewhere:
                os.close(netlab.enter_new())
            if stays:
                one.stays()
            found[name] = one.run(exchange(), here=False)

        for name, elsewhere, stays in (("caller", False, False), ("stays", False, True), ("away", True, True)):
            thread = threading.Thread(target=work, args=(name, elsewhere, stays), name=name)
            thread.start()
            thread.join(100)
        self.assertEqual(found, {"caller": "caller", "stays": "poller", "away": "away"})

    def test_what_is_not_is_carried_on_by_the_poller(self):
        ours, theirs = self.pair()
        threads = []

        def exchange():
            for text in (b"one", b"two"):
                ready = yield Wait(ours, select.POLLIN, poller.clock() + 5)
                threads.append(threading.current_thread().name)
                assert ready == select.POLLIN
                assert ours.recv(9) == text
                ours.send(text)
            return "done"

        def answer():
            theirs.send(b"one")
            theirs.recv(9)
            theirs.send(b"two")

        timer = threading.Timer(0.05, answer)
        timer.start()
        self.addCleanup(timer.join)
        self.assertEqual(poller.run(exchange()), "done")
        self.assertEqual(threads, ["poller", "poller"])

    def test_a_time_that_is_over_ends_a_wait_and_the_next_one_counts_anew(self):
        ours, _ = self.pair()

        def exchange():
            found = []
            for _ in range(3):
                found.append((yield Wait(ours, select.POLLIN, poller.clock() + 0.05)))
            return found

        began = time.monotonic()
        self.assertEqual(poller.run(exchange()), [0, 0, 0])
        self.assertGreaterEqual(time.monotonic() - began, 0.15)

    def test_what_an_exchange_raises_reaches_its_thread_and_the_poller_goes_on(self):
        ours, _ = self.pair()

        def exchange(wait):
            if wait:
                yield Wait(ours, select.POLLIN, poller.clock() + 0.05)
            raise LookupError(wait)
            yield

        for wait in (False, True):
            with self.assertRaisesRegex(LookupError, str(wait)):
                poller.run(exchange(wait))
        self.assertEqual(poller.wait(ours, select.POLLIN, poller.clock() + 0.01), 0)

    def test_what_is_neither_a_wait_nor_a_transfer_is_refused(self):
        def exchange():
            yield 7

        with self.assertRaisesRegex(TypeError, "yielded 7"):
            poller.run(exchange())

    def test_who_blocks_in_the_pollers_thread_is_told(self):
        """It would wait for itself, for ever."""
        ours, _ = self.pair()

        def blocks():
            yield Wait(ours, select.POLLIN, poller.clock() + 0.01)
            poller.wait(ours, select.POLLIN, poller.clock() + 0.01)

        def stays():
            try:
                poller.run(blocks())
            except RuntimeError as error:
                said.append(str(error))

        said = []

        thread = threading.Thread(target=stays, daemon=True)
        thread.start()
        thread.join(100)
        self.assertIn("has to yield what it waits for", said[0])

    def test_a_wait_that_cannot_begin_is_the_exchanges_to_judge(self):
        with open(os.devnull, encoding="ascii") as file:  # epoll(7) refuses plain files, and /dev/null
            def exchange():
                try:
                    yield Wait(ours, select.POLLIN, poller.clock() + 0.01)
                    yield Wait(file, select.POLLPRI, poller.clock() + 5)
                except OSError as error:
                    return type(error)

            ours, _ = self.pair()
            self.assertIs(poller.run(exchange()), PermissionError)

    def test_thousands_of_waits_wake_each_his_own(self):
        pairs = [self.pair() for _ in range(300)]
        found = [None] * len(pairs)

        def work(number):
            for text in (b"a", b"b"):
                poller.wait(pairs[number][0], select.POLLIN, poller.clock() + 30)
                found[number] = pairs[number][0].recv(9)
                pairs[number][0].send(text)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(pairs))]
        for thread in threads:
            thread.start()
        for text in (b"x", b"y"):
            for number, (_, theirs) in enumerate(pairs):
                theirs.send(text + str(number).encode())
            for _, theirs in pairs:
                theirs.recv(9)
        for thread in threads:
            thread.join()
        self.assertEqual(found, [b"y" + str(number).encode() for number in range(len(pairs))])

    def test_between_exchanges_that_compute_there_is_a_look(self):
        """Many sockets are ready at once, and each exchange takes its time; none runs out of its own meanwhile."""
        one = poller.Poller()
        rounds, found = [], []

        def computing(sock):
            ready = yield Wait(sock, select.POLLIN, one.attended.now() + 60)
            ready = yield Wait(other_end[sock], select.POLLIN, one.attended.now() + poller.TAKES_IN)  # it is there
            threading.Event().wait(2 * poller.TAKES_IN)
            rounds.append(one.rounds)
            found.append(ready)

        with contextlib.ExitStack() as stack:
            pairs = [tuple(map(stack.enter_context, socket.socketpair())) for _ in range(5)]
            other_end = dict(pairs)
            threads = [threading.Thread(target=one.run, args=(computing(sock),)) for sock in other_end]
            for sock in other_end:
                sock.send(b"x")  # what the second wait is for
            for thread in threads:
                thread.start()
            while len(one._waiting) < len(threads):
                threading.Event().wait(0.01)
            for end in other_end.values():
                end.send(b"x")
            for thread in threads:
                thread.join()
        self.assertEqual((len({*rounds}), found), (5, [select.POLLIN] * 5))

    def test_an_interrupted_main_thread_leaves_nothing_behind(self):
        program = (
            "import os, select, signal, socket, threading\n"
            "from pathspider.helpers import poller\n"
            "signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever started us may have it ignored\n"
            "ours, theirs = socket.socketpair()\n"
            "def exchange():\n"
            "    try:\n"
            "        yield poller.Wait(ours, select.POLLIN, poller.clock() + 60)\n"
            "    finally:\n"
            "        closed.set()\n"
            "closed = threading.Event()\n"
            "timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))\n"
            "timer.start()\n"
            "try:\n"
            "    poller.run(exchange())\n"
            "except KeyboardInterrupt:\n"
            "    print(closed.wait(100), len(poller._poller()._waiting), poller.wait(ours, 1, poller.clock() + 0.01))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
        self.assertEqual(done.stdout.split(), ["True", "0", "0"])

    def test_a_child_after_fork_makes_a_poller_of_its_own(self):
        program = (
            "import os, sys, select, socket\n"
            "from pathspider.helpers import poller\n"
            "ours, theirs = socket.socketpair()\n"
            "poller.wait(ours, select.POLLIN, poller.clock() + 0.01)\n"
            "pid = os.fork()\n"
            "ours, theirs = socket.socketpair()\n"
            "found = poller.wait(ours, select.POLLIN, poller.clock() + 0.05)\n"
            "theirs.send(b'x')\n"
            "found += poller.wait(ours, select.POLLIN, poller.clock() + 5)\n"
            "if pid:\n"
            "    found += os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
            "os._exit(found)\n"
        )
        self.assertEqual(subprocess.run([sys.executable, "-c", program], check=False, timeout=30).returncode, 2)

    def test_nothing_wakes_up_while_nothing_is_under_way(self):
        ours, _ = self.pair()
        poller.wait(ours, select.POLLIN, poller.clock() + 0.01)
        own = poller._poller()
        deadline = time.monotonic() + 100
        while not own._idle and time.monotonic() < deadline:
            time.sleep(0.01)
        before = own.rounds
        time.sleep(5 * poller.TICK)
        self.assertEqual(own.rounds, before)
        with poller.attended():
            while own.rounds < before + 3 and time.monotonic() < deadline:
                time.sleep(0.01)
        self.assertGreaterEqual(own.rounds, before + 3)

    def test_a_failing_poller_tells_all_that_wait_and_the_next_is_another(self):
        own = poller._poller()
        program = (
            "import select, socket\n"
            "from pathspider.helpers import poller\n"
            "ours, theirs = socket.socketpair()\n"
            "def fire(self, due):\n"
            "    raise LookupError('a mistake')\n"
            "good, poller.Poller._fire = poller.Poller._fire, fire\n"
            "try:\n"
            "    poller.wait(ours, select.POLLIN, poller.clock() + 5)\n"
            "except LookupError as error:\n"
            "    print(error)\n"
            "poller.Poller._fire = good\n"
            "print(poller.wait(ours, select.POLLIN, poller.clock() + 0.01))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
        self.assertEqual(done.stdout.splitlines(), ["a mistake", "0"])
        self.assertIs(own, poller._poller())


class TestTransfers(LabCase):
    def test_libcurl_in_the_poller(self):
        body = []
        handle = pycurl.Curl()
        handle.setopt(pycurl.URL, f"http://{V4}:{netlab.HTTP}/")
        handle.setopt(pycurl.WRITEFUNCTION, body.append)
        # in this thread's namespace: the poller's is that of whoever was first to need it
        handle.setopt(pycurl.OPENSOCKETFUNCTION, lambda _purpose, _address: sockets.pop())
        sockets = [socket.socket() for _ in range(3)]
        for sock in sockets:
            self.addCleanup(sock.close)

        def exchange(until):
            return (yield Transfer(handle, until))

        self.assertEqual(poller.run(exchange(poller.clock() + 5)), (0, ""))
        self.assertEqual(body, [b"hello"])
        handle.setopt(pycurl.URL, f"http://{V4}:{netlab.CLOSED}/")
        self.assertEqual(poller.run(exchange(poller.clock() + 5))[0], pycurl.E_COULDNT_CONNECT)
        handle.setopt(pycurl.URL, f"http://{V4}:{netlab.SILENT}/")
        self.assertIsNone(poller.run(exchange(poller.clock() + 0.1)))
        handle.close()

    def test_names_that_one_request_knows_are_not_known_to_the_next(self):
        job = {"dip": V4, "dp": netlab.HTTP, "domain": "no-such-name.invalid"}
        known = {pycurl.CONNECT_TO: [], pycurl.RESOLVE: [f"no-such-name.invalid:{netlab.HTTP}:{V4}"]}
        self.assertEqual(connect_http(SOURCE, job, 5, curlopts=known)["spdr_state"], CONN_OK)
        unknown = connect_http(SOURCE, job, 5, curlopts={pycurl.CONNECT_TO: []})
        self.assertEqual((unknown["spdr_state"], unknown["local_error"]), (CONN_SKIPPED, "curl_6"))

    def test_requests_to_one_target_at_once_have_a_connection_each(self):
        results = []
        job = {"dip": V6, "dp": netlab.HTTP}
        options = {pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2_0, pycurl.PIPEWAIT: 1}
        threads = [threading.Thread(target=lambda: results.append(connect_http(SOURCE, job, 10, curlopts=options)))
                   for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({result["spdr_state"] for result in results}, {CONN_OK})
        self.assertEqual(len({result["sp"] for result in results}), 20)
        seen = set()
        while not {(SOURCE[1], result["sp"]) for result in results} <= seen:
            seen.add(lab.peers.get(timeout=100))


class TestStopped(LabCase):
    """The process is stopped while connections are under way."""

    def answered_late(self, mode, count):
        """Results of connections with a timeout of 4 s whose SYNs are lost; the kernel's next ones are answered while
        we are stopped, for longer than that.

        Of those that began at most 2.5 s before SYNs were lost no more: on a busy machine it takes seconds to begin
        all. SYNs are sent again after 1, 2 and 3 s, or after 1 and 3 s (tcp_syn_linear_timeouts, ip-sysctl).
        """
        undo = self.drop(netlab.HTTP)
        try:
            child = self.child(mode, netlab.HTTP, count, 4)
            self.assertEqual(child.process.stdout.readline(), "waiting\n")
            child.stop()
        finally:
            undo()
        undone = time.monotonic()
        time.sleep(5)
        child.resume()
        results = [result for result in child.results() if result["began"] > undone - 2.5]
        self.assertTrue(results)
        return results

    def test_answers_that_came_meanwhile_count_though_the_deadline_passed(self):
        results = self.answered_late("tcp", 200)
        self.assertEqual({(result["spdr_state"], result["disturbance"]) for result in results}, {(CONN_OK, "paused")})
        self.assertGreater(max(result["lag"] for result in results), 1)  # half of it is forgotten each second

    def test_time_in_which_we_were_stopped_does_not_count(self):
        child = self.child("tcp", netlab.DROP, 20, 1.5)
        self.assertEqual(child.process.stdout.readline(), "waiting\n")
        child.stop()
        time.sleep(2)
        child.resume()
        results = child.results()
        self.assertEqual({(result["spdr_state"], result["disturbance"]) for result in results},
                         {(CONN_TIMEOUT, "paused")})
        self.assertGreater(min(result["seconds"] for result in results), 1.5 + 2 - 3 * poller.TICK)

    def test_an_answer_that_came_after_the_deadline_is_late(self):
        """The first SYN is lost; the second, a second later, is answered after the deadline and before we look."""
        undo = self.drop(netlab.HTTP)
        try:
            child = self.child("tcp", netlab.HTTP, 5, 0.6)
            self.assertEqual(child.process.stdout.readline(), "waiting\n")
            child.stop()
        finally:
            undo()
        time.sleep(2)
        child.resume()
        self.assertEqual({(result["spdr_state"], result["error"]) for result in child.results()},
                         {(CONN_TIMEOUT, "no answer to the SYN")})

    def test_what_is_asked_after_a_pause_has_its_time(self):
        """The handshake is done while we are stopped; the request goes out after it, and is answered."""
        self.assertEqual({result["spdr_state"] for result in self.answered_late("http", 50)}, {CONN_OK})

    def answered(self, mode, early):
        """One question, answered while we are stopped, before or after its deadline."""
        kind = socket.SOCK_DGRAM if mode == "dnsudp" else socket.SOCK_STREAM
        with self.at_the_server():
            server = socket.socket(socket.AF_INET, kind)
            server.bind((V4, 0))
        self.addCleanup(server.close)
        server.settimeout(100)
        if kind == socket.SOCK_STREAM:
            server.listen()
        child = self.child(mode, server.getsockname()[1], 1, 2)
        if kind == socket.SOCK_STREAM:
            client, _ = server.accept()
            self.addCleanup(client.close)
            client.settimeout(100)
            question = client.recv(4096)
        else:
            question, peer = server.recvfrom(4096)
        child.stop()
        if mode == "http":
            answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        elif mode == "dnsudp":
            answer = netlab.dns_answer(question, netlab.DNS)
        else:
            answer = netlab.dns_answer(question[2:], netlab.DNS)
            answer = struct.pack("!H", len(answer)) + answer
        if not early:
            time.sleep(2.2)
        if kind == socket.SOCK_STREAM:
            client.sendall(answer)
        else:
            server.sendto(answer, peer)
        if early:
            time.sleep(2.2)
        child.resume()
        [result] = child.results()
        return result["spdr_state"]

    def test_whether_an_answer_was_in_time_is_asked_of_the_kernel(self):
        for mode in ("http", "dnstcp", "dnsudp"):
            for early, state in ((True, CONN_OK), (False, CONN_TIMEOUT)):
                with self.subTest(mode=mode, early=early):
                    self.assertEqual(self.answered(mode, early), state)


if __name__ == "__main__":
    unittest.main()
