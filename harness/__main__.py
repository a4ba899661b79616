"""`python -m harness` and the command `harness`: see cli."""

import sys


def main() -> int:
    try:
        from harness.cli import main as command_line  # here, so that ctrl-C has its sentence also while it is imported
    except KeyboardInterrupt:
        print("harness: interrupted", file=sys.stderr)
        return 130
    return command_line()


if __name__ == "__main__":
    sys.exit(main())
