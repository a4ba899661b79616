"""Show the server that waits for the next count, or end it.

`harness count --wait` leaves one. It ends by itself when its time is over, and when anything else starts a server.
"""

from __future__ import annotations

import argparse
import json

from harness.cli.parser import add_json
from harness.engine import waiting_requests

HELP = "the server that waits for the next count"
EXAMPLES = ("harness servers", "harness servers --stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stop", action="store_true", help="end it, also while it counts")
    add_json(parser, "a list with an object for the server, or an empty one")


def run(arguments: argparse.Namespace) -> int:
    server = waiting_requests.stop() if arguments.stop else waiting_requests.describe()
    if arguments.json:
        print(json.dumps([] if server is None else [server]))
    elif server is None:
        print("no server waits")
    else:
        state = "counts" if server["counts"] else f"waits, for {server['minutes_left']:.1f} min more"
        suite = f"{server['suite']} by {server['counter']}" if server["suite"] else "no suite yet"
        print(f"pid {server['pid']}: {suite}; {server['megabytes']:,} MB; {'ended' if arguments.stop else state}")
    return 0
