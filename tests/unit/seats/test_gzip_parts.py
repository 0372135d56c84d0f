"""Parts that are compressed one by one make up what any reader of gzip unpacks."""

import gzip
import zlib

from hypothesis import given
from hypothesis import strategies as st

from boxoffice.seats.rendering import gzip_parts


@given(st.lists(st.binary(max_size=300), max_size=6), st.integers(1, 3_000))
def test_the_stream_is_a_gzip_file_of_all_parts(contents: list[bytes], times: int) -> None:
    contents = [content * times for content in contents]
    packed = gzip_parts.stream([gzip_parts.compress(content) for content in contents])
    assert gzip.decompress(packed) == b"".join(contents)
    # Also for a reader that wants one member and nothing behind it.
    reader = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert reader.decompress(packed) == b"".join(contents)
    assert reader.eof
    assert not reader.unused_data
