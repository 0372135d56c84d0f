"""The tree of errors: those that stop a process, and the problems that answer a request.

    BoxofficeError
    ├── SettingsInvalid              a process that must not start
    ├── CannotListen                 the address is in use, or not of this machine
    ├── IntegrityError               a broken invariant: always a bug
    └── Problem                      an answer to the caller, with a stable `code`
        ├── BadRequest               400 family: the request itself is malformed
        ├── Unauthenticated, Forbidden
        ├── NotFound                 …_not_found, also for the property of another person
        ├── Invalid                  422 family: well formed, but not acceptable
        ├── Rejection                a business rule refuses (sold out, taken): a correct answer
        ├── TooMany                  429
        └── Unavailable              503, with the time after which to try again

Each leaf has one `code`. The HTTP status of every code is in `http/api/statuses.py`.
"""

# Each error is named once, where it is defined.
from boxoffice.errors.not_found import *  # noqa: F403 - re-exports
from boxoffice.errors.problems import *  # noqa: F403 - re-exports
