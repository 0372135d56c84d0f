"""The buyers of a running sale: fixtures, planned visits, requests, and the choice of a process."""
