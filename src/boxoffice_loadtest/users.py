"""The users of a load test: the tokens file that `boxoffice seed --tokens` writes."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from boxoffice_loadtest.errors import TargetUnfit


class UserToken(msgspec.Struct, frozen=True):
    """A line of the tokens file."""

    user_id: str
    access_token: str


@dataclass
class UserTokens:
    """The tokens, in the order of the file."""

    file: Path
    tokens: list[UserToken]

    @property
    def user_ids(self) -> list[str]:
        """The ids by position."""
        return [one.user_id for one in self.tokens]


def read_users(file: Path) -> UserTokens:
    """Read a tokens file; raise `TargetUnfit` if it is none."""
    try:
        lines = file.read_bytes().split(b"\n")
        tokens = [msgspec.json.decode(line, type=UserToken) for line in lines if line.strip()]
    except (OSError, msgspec.MsgspecError) as error:
        raise TargetUnfit(
            f"{file} is not a file of tokens from `boxoffice seed`: {error}"
        ) from error
    if not tokens:
        raise TargetUnfit(f"{file} has no tokens")
    return UserTokens(file, tokens)
