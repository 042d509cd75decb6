"""`oms`, also as `python -m oms_cli`."""

import sys

INTERRUPTED = 130  # as shells report a program that Ctrl-C ends


def main() -> None:
    """Run the command line. Ctrl-C ends it without a traceback, even during the imports, which take most of the time of
    a short command."""
    try:
        from oms_cli.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
