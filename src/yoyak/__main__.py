"""Runs the command line as ``python -m yoyak``."""

from yoyak.cli import main

if __name__ == "__main__":
    main()
