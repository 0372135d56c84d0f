"""Reports by mail: who gets which, how often, and the mail of each period, once."""
