"""`python -m boxoffice`."""

from boxoffice.cli.main import main

main()
