"""`python -m boxoffice`."""

from boxoffice.cli import main

main()
