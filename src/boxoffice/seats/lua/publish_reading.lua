-- Publish a reading, unless the turn has passed to another process since.
--
-- KEYS  1 the published reading, 2 the turn, 3 the layout
-- ARGV  1 the token of the turn, 2 the digest of the reading, 3 its head, 4 its body
--       5 the digest of the layout, 6 the time to live of a layout, in milliseconds
--
-- A process that was paused publishes nothing: a later turn has another token, and a published one none.
--
-- Returns 0 where the turn is gone, 1, or 2 where the layout is to be published too.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- guard: publish_reading_in_its_turn => if false then
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
local left_ms = redis.call('PTTL', KEYS[2])
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'digest', ARGV[2], 'head', ARGV[3], 'body', ARGV[4])
-- guard: publish_reading_as_old_as_its_turn: left_ms => ARGV[6]
redis.call('PEXPIRE', KEYS[1], left_ms)
-- guard: publish_reading_ends_its_turn
redis.call('DEL', KEYS[2])
-- guard: publish_reading_with_its_layout: ~= => ==
if redis.call('HGET', KEYS[3], 'digest') ~= ARGV[5] then
  return 2
end
redis.call('PEXPIRE', KEYS[3], ARGV[6])
return 1
