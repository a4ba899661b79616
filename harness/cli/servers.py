"""Show the server that waits for the next count, or end it.

`harness count --wait` leaves one. It ends by itself when its time is over, and when anything else starts a server.
"""

from __future__ import annotations

import argparse
import json

from harness.cli.parser import add_json
from harness.engine import waiting

HELP = "the server that waits for the next count"
EXAMPLES = ("harness servers", "harness servers --stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stop", action="store_true", help="end it, also while it counts")
    add_json(parser, "a list with an object for the server, or an empty one")


def run(arguments: argparse.Namespace) -> int:
    told = waiting.stop() if arguments.stop else waiting.tell()
    if arguments.json:
        print(json.dumps([] if told is None else [told]))
    elif told is None:
        print("no server waits")
    else:
        state = "counts" if told["counts"] else f"waits, for {told['minutes_left']:.1f} min more"
        suite = f"{told['suite']} by {told['counter']}" if told["suite"] else "no suite yet"
        print(f"pid {told['pid']}: {suite}; {told['megabytes']:,} MB; {'ended' if arguments.stop else state}")
    return 0
