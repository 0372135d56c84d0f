-- Publish a reading in its turn; `reading_turn.lua` stands before this text.
--
-- KEYS  1 the published reading, 2 the turn, 3 the layout
-- ARGV  1 the token of the turn, 2 the digest of the reading, 3 its head, 4 its body
--       5 the digest of the layout, 6 the time to live of a layout, in milliseconds
--
-- Returns 0 where the turn is gone, 1, or 2 where the layout is to be published too.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local published = publish_in_turn(
  'HSET', KEYS[1], 'token', ARGV[1], 'digest', ARGV[2], 'head', ARGV[3], 'body', ARGV[4])
-- no guard: The rest is about a layout, which no published reading names here.
if published == 0 then
  return 0
end
-- guard: publish_reading_with_its_layout: ~= => ==
if redis.call('HGET', KEYS[3], 'digest') ~= ARGV[5] then
  return 2
end
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return 1
