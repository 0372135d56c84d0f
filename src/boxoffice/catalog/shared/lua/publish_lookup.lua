-- Publish a look-up, unless the turn has passed to another process since.
--
-- KEYS  1 the published look-up, 2 the turn
-- ARGV  1 the token of the turn, 2 the look-up
--
-- Returns 0 where the turn is gone, else 1.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- guard: publish_lookup_in_its_turn => if false then
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
-- guard: publish_lookup_as_old_as_its_turn => local left_ms = 60000
local left_ms = redis.call('PTTL', KEYS[2])
redis.call('SET', KEYS[1], ARGV[2], 'PX', left_ms)
-- guard: publish_lookup_ends_its_turn
redis.call('DEL', KEYS[2])
return 1
