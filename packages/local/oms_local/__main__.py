"""`python -m oms_local` is `oms`."""

from oms_local.cli import main

if __name__ == "__main__":
    main()
