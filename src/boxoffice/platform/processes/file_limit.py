"""How many files and connections a process may have open."""

import resource


def raise_file_limit(wanted: int) -> int:
    """Let this process have `wanted` files open, or as many as it may; return how many that is.

    Systems begin with a thousand or so, because some programs cannot have more; the hard limit is the
    operator's word and stays.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    new = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (new, hard))
    return new
