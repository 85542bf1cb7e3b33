"""``pspdr fleet``: the vantage points of campaigns, and the broker between them and the coordinator."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathspider.cmd.input import port
from pathspider.cmd.main import UsageError
from pathspider.cmd.nested import nested_commands, of_campaigns
from pathspider.text import amount

if TYPE_CHECKING:
    from pathspider.campaign.fleet import State

log = logging.getLogger("pathspider")

EPILOG = """examples:
  pspdr fleet init fleet --host measure.example.org
  pspdr fleet add fleet ams
  pspdr fleet up fleet

Spider safely!"""

LOCAL_PORTS, LARGEST_PORT = 4, 65535
"""On 127.0.0.1: management, Prometheus, Erlang's distribution, its port mapper."""


def register(subparsers: Any, argv: Sequence[str] = ()) -> None:
    """Add ``fleet`` and its own sub-commands."""
    parser = subparsers.add_parser(
        "fleet", help="Vantage points for campaigns, and the broker between", epilog=EPILOG,
        description="Make a fleet of vantage points: certificates, a broker of its own, and who takes part.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = nested_commands(parser)

    def command(name: str, function: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(func=of_campaigns(function), parser=sub)
        sub.add_argument("folder", metavar="DIR", help="The fleet's folder.")
        return sub

    sub = command("init", init, "Make a fleet: authority, broker's certificate and configuration")
    sub.add_argument("--host", metavar="NAME", help="Name or address by which vantage points reach the broker. "
                                                    "(Needed, unless --broker tells it)")
    sub.add_argument("--port", type=port, default=5671, metavar="N", help="Its port. (Default: 5671)")
    sub.add_argument("--local-port", type=port, default=15672, metavar="N",
                     help="On 127.0.0.1: management, and on the next three Prometheus, Erlang's distribution and its "
                          "port mapper. (Default: 15672)")
    sub.add_argument("--broker", default="", metavar="URL", help="Use a RabbitMQ that is there, amqps://HOST:PORT/VHOST:"
                                                                 " broker/definitions.json is for it to import.")
    sub.add_argument("--broker-ca", metavar="FILE", help="Who has certified that RabbitMQ, certificates in PEM. "
                                                         "(Default: it has broker/certificate.pem of this fleet)")
    sub = command("add", add, "Have one more vantage point, and write its bundle")
    sub.add_argument("name", metavar="NAME", help="What it is called.")
    sub = command("remove", remove, "Have a vantage point no more: it is cut off")
    sub.add_argument("name", metavar="NAME", help="What it is called.")
    sub = command("up", up, "Start the broker, as an unprivileged user, until interrupted")
    sub.add_argument("--user", metavar="NAME", help="Where root starts it, who it runs as. (Default: rabbitmq, else "
                                                    "nobody)")
    sub.add_argument("--unit", action="store_true", help="Write a unit for systemd that does that, and start nothing.")
    command("status", status, "Show who is connected, and what waits")


def init(args: argparse.Namespace) -> int:
    """Make a fleet; the exit status."""
    import ssl  # noqa: PLC0415
    from urllib.parse import urlsplit  # noqa: PLC0415

    from pathspider.campaign.fleet import Fleet, State  # noqa: PLC0415

    if not args.host and not args.broker:
        raise UsageError("--host: by which name or address do vantage points reach the broker?")
    own = range(args.local_port, args.local_port + LOCAL_PORTS)
    if args.port in own or own[-1] > LARGEST_PORT:
        raise UsageError(f"--local-port {args.local_port}: it and the {LOCAL_PORTS - 1} ports behind it are needed, "
                         f"none of them --port ({args.port}) or over {LARGEST_PORT}")
    try:
        host, authority = args.host or urlsplit(args.broker).hostname or "", None
    except ValueError as error:
        raise UsageError(f"--broker {args.broker}: {error}; amqps://HOST:PORT/VHOST is needed") from None
    if args.broker_ca:
        try:
            authority = Path(args.broker_ca).read_text(encoding="ascii")
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=authority)
        except (ssl.SSLError, ValueError) as error:
            raise UsageError(f"--broker-ca {args.broker_ca}: not certificates in PEM: {error}") from None
        except OSError as error:
            raise UsageError(f"--broker-ca {args.broker_ca}: {error.strerror}") from None
    fleet = Fleet.create(args.folder, State(host, args.port, args.local_port, args.broker), authority)
    if args.broker:
        files = fleet.folder / "broker"
        log.info("next: pspdr fleet add %s NAME, for each vantage point; then have %s import %s, and say what %s says",
                 args.folder, args.broker, files / "definitions.json", files / "rabbitmq.conf")
    else:
        log.info("next: pspdr fleet add %s NAME, for each vantage point, and pspdr fleet up %s", args.folder,
                 args.folder)
    return 0


def add(args: argparse.Namespace) -> int:
    """Have one more vantage point; the exit status."""
    from pathspider.campaign.fleet import Fleet  # noqa: PLC0415

    fleet = Fleet(args.folder)
    path = fleet.add(args.name)
    management = _management(fleet)
    if management is not None and management.is_up():
        management.add(args.name)
    elif fleet.state.broker:
        log.info("have %s import %s once more: rabbitmqctl import_definitions FILE", fleet.state.broker,
                 fleet.folder / "broker/definitions.json")
    log.info("copy %s to the vantage point, where nobody else may read it: pspdr vantage run %s -i INTERFACE", path,
             path.name)
    return 0


def remove(args: argparse.Namespace) -> int:
    """Have a vantage point no more; the exit status."""
    from pathspider.campaign.bundle import address_of  # noqa: PLC0415
    from pathspider.campaign.fleet import Fleet  # noqa: PLC0415

    fleet = Fleet(args.folder)
    fleet.remove(args.name)
    management = _management(fleet)
    if management is not None and management.is_up():
        management.remove(args.name)
    elif fleet.state.broker:
        log.warning("remove it from %s, too, or it goes on: rabbitmqctl delete_user %s, which cuts it off, and "
                    "rabbitmqctl --vhost %s delete_queue vp.%s", fleet.state.broker, args.name,
                    address_of(fleet.state.broker)[2], args.name)
    return 0


def up(args: argparse.Namespace) -> int:
    """Run the broker; the exit status."""
    from pathspider.campaign.broker import Broker  # noqa: PLC0415
    from pathspider.campaign.errors import CampaignError  # noqa: PLC0415
    from pathspider.campaign.fleet import Fleet  # noqa: PLC0415
    from pathspider.campaign.units import broker_unit  # noqa: PLC0415
    from pathspider.cmd.signals import Signals  # noqa: PLC0415

    if args.unit:
        print(broker_unit(Path(args.folder), args.user or "rabbitmq"), end="")
        return 0
    fleet = Fleet(args.folder)
    if fleet.state.broker:
        raise UsageError(f"the broker of this fleet is {fleet.state.broker}, and not ours to start")
    refuse_taken(fleet.state)
    fleet.configure()
    broker, ended = Broker(fleet.folder / "broker", fleet.state.local_port, args.user), threading.Event()
    signals = Signals()

    def stop(number: int) -> None:
        ended.set()
        broker.stop()

    signals.respond(stop)
    with broker:
        management = _management(fleet)
        assert management is not None
        try:
            management.wait(lambda: broker.process.poll() is None, broker.logs)
        except CampaignError:
            if ended.is_set():
                return 0
            raise
        log.info("the broker takes connections on port %d; Prometheus: http://127.0.0.1:%d/metrics", fleet.state.port,
                 fleet.state.local_port + 1)
        code = broker.process.wait()
    if ended.is_set():
        return 0
    log.error("the broker has ended with status %d; %s say why", code, broker.logs)
    return 1


def refuse_taken(state: State) -> None:
    """:exc:`UsageError` where somebody listens on a port that the broker needs: it would not say so."""
    for address, number in (("0.0.0.0", state.port),
                            *(("127.0.0.1", state.local_port + place) for place in range(LOCAL_PORTS))):
        try:
            socket.create_server((address, number)).close()
        except OSError as error:
            what = os.strerror(error.errno or 0)
            raise UsageError(f"port {number}: {what} ({address}); end what listens there, as ss -ltnp tells, or make "
                             "a fleet with another --port or --local-port") from None


def status(args: argparse.Namespace) -> int:
    """Show who is connected; the exit status is 1 if the broker is not there."""
    from pathspider.campaign.fleet import Fleet  # noqa: PLC0415

    fleet = Fleet(args.folder)
    management = _management(fleet)
    if management is None:
        raise UsageError(f"{fleet.state.broker} is not ours to ask; its own management tells")
    if not management.is_up():
        log.error("the broker is not there: pspdr fleet up %s starts it", args.folder)
        return 1
    waiting = {queue["name"]: queue.get("messages", 0) for queue in management.queues()}
    users = {connection.get("user") for connection in management.connections()}
    for name in fleet.state.vantages:
        there = "connected" if name in users else "not connected"
        print(f"{name}: {there}, {amount(waiting.get(f'vp.{name}', 0), 'chunk')} waiting")
    print(f"any: {amount(waiting.get('any', 0), 'chunk')}; results: {waiting.get('results', 0)}; "
          f"dead letters: {waiting.get('dead', 0)}")
    return 0


def _management(fleet: Any) -> Any:
    """The broker's management; None where the broker is not ours."""
    from pathspider.campaign.management import Management  # noqa: PLC0415

    return None if fleet.state.broker else Management(fleet.state.local_port, fleet.password, fleet.state.port)
