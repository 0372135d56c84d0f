"""The limit of open files, and with it of connections, of a process."""

import resource


def raise_file_limit(wanted: int) -> int:
    """Raise the soft limit to `wanted`, or to the hard limit if that is lower; return the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))
    return new
