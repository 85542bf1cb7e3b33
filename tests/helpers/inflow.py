"""Connections that carry probes over the hops of a lab, and what their server got: not an octet may be missing.

``python -m tests.helpers.inflow`` is the server; ``... inflow ADDRESS...`` is the client, which makes one connection to
each address. Both write a line of JSON for each connection: its port here, and what was sent, or got; the client also
how many of its probes a hop has quoted.
"""

import asyncio
import json
import random
import selectors
import subprocess
import sys
import time
from pathlib import Path

from pathspider.helpers.probing import Listener, LiveFlow
from pathspider.lab.addresses import CLIENT_LINK
from pathspider.lab.hops import HOPS
from pathspider.quotation import TIME_EXCEEDED

ROOT = Path(__file__).parents[2]
PORT = 4711
PROBES = 12
OCTETS = 40
OWN = {4: CLIENT_LINK.far[0], 6: CLIENT_LINK.far[1]}
PATIENCE = 300.0
AT_ONCE = 200


def run(lab, addresses):
    """What the client sent and what the server got, by IP version and the client's port; and how many probes were
    quoted."""
    command = [sys.executable, "-m", "tests.helpers.inflow"]
    server = lab.popen(command, room="server", stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert server.stdout.readline() == b"ready\n"
        client = lab.run([*command, *addresses], stdout=subprocess.PIPE, cwd=ROOT)
        assert client.returncode == 0
        told = server.communicate(timeout=PATIENCE)[0]
    finally:
        server.kill()
        server.wait()
    sent = [json.loads(line) for line in client.stdout.splitlines()]
    got = [json.loads(line) for line in told.splitlines()]
    return ({tuple(one[:2]): one[2] for one in sent}, {tuple(one[:2]): one[2] for one in got},
            sum(one[3] for one in sent))


async def serve():
    """Take all that comes, until standard input ends and no connection is open."""
    async def take(reader, writer):
        data = await reader.read(-1)
        address, port = writer.get_extra_info("peername")[:2]
        print(json.dumps([6 if ":" in address else 4, port, data.hex()]), flush=True)
        writer.close()

    server = await asyncio.start_server(take, ["0.0.0.0", "::"], PORT, backlog=4096)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
    server.close()
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait(others)


def connect(addresses):
    """Connections in which each octet but the last ones is a probe that dies at some hop."""
    drawn = random.Random(len(addresses))
    listeners = [Listener(version) for version in OWN]
    waiting, flows = list(addresses), []
    quoted, requests, left = {}, {}, {}
    deadline = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for listener in listeners:
            selector.register(listener, selectors.EVENT_READ)
        while (waiting or flows) and time.monotonic() < deadline:
            while waiting and len(flows) < AT_ONCE:
                address = waiting.pop()
                version = 6 if ":" in address else 4
                request = drawn.randbytes(OCTETS)
                flow = LiveFlow(OWN[version], (address, PORT), request, [])
                flows.append((version, flow))
                requests[version, flow.port], left[version, flow.port] = request, PROBES
            for key, _ in selector.select(0.01):
                for heard in key.fileobj.read():
                    place = heard.quotation.version, heard.quotation.sport
                    if heard.quotation.kind == TIME_EXCEEDED and place in left:
                        quoted[place] = quoted.get(place, 0) + 1
            for version, flow in [one for one in flows if one[1].is_ready]:
                place = version, flow.port
                if left[place] > 0:
                    assert flow.send(drawn.randint(1, HOPS), 0)
                elif left[place] == 0:
                    flow.finish()
                else:
                    flow.close()
                    flows.remove((version, flow))
                    print(json.dumps([*place, requests[place].hex(), quoted.get(place, 0)]), flush=True)
                left[place] -= 1
    for listener in listeners:
        listener.close()
    return len(flows) + len(waiting)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(int(bool(connect(sys.argv[1:]))))
    asyncio.run(serve())
