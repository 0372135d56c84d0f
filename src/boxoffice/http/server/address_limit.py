"""Limits how many connections or streams one client address has at a time."""

from boxoffice.platform.client_addresses import address_bucket


class AddressLimit:
    """Counts by address (`platform/client_addresses.py`); a count of zero takes no memory."""

    def __init__(self, count_max: int) -> None:
        self.count_max = count_max
        self._counts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._counts)

    def is_reached(self, address: str) -> bool:
        """Return whether an address is at its limit."""
        return self._counts.get(address_bucket(address), 0) >= self.count_max

    def add(self, address: str) -> str:
        """Count one more; return the bucket for `remove`."""
        bucket = address_bucket(address)
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        return bucket

    def remove(self, bucket: str) -> None:
        """Count one less."""
        left = self._counts[bucket] - 1
        if left:
            self._counts[bucket] = left
        else:
            del self._counts[bucket]
