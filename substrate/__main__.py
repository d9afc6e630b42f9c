"""`python -m substrate` is the command `substrate`."""

from substrate.cli import main

main()
