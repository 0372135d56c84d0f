"""The simulator of Toss Payments: core API 2022-11-16, and its payment window."""
