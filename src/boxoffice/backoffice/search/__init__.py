"""One search over orders: by buyer, guest, seat or order number, with prefixes and typos.

Every result is of the caller's organizations, and the read is logged before it is answered. It must
never be part of a sale: it reads accounts by an index that sign-ups keep.
"""
