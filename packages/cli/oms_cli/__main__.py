"""`python -m oms_cli` is `oms`."""

from oms_cli.cli import main

if __name__ == "__main__":
    main()
