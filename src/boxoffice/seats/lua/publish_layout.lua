-- Publish where the seats of a schedule are.
--
-- KEYS  1 the layout
-- ARGV  1 its digest, 2 its body, 3 its time to live, in milliseconds
--
-- A reader takes it only with a reading that names the digest, so an older one that comes late is not used.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

redis.call('HSET', KEYS[1], 'digest', ARGV[1], 'body', ARGV[2])
-- guard: publish_layout_ends_by_itself
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
