-- Take the reading that another process published, or the turn to read for all.
--
-- KEYS  1 the published reading, 2 the turn
-- ARGV  1 the token of this process for a turn
--       2 the token of the reading that it has already, 3 the digest of that reading
--       4 how old a reading may be, in milliseconds
--       5 how long a turn lasts, in milliseconds; 0 where none is wanted
--       6 the time to live of both keys when a turn begins, in milliseconds
--
-- The turn's key is set when the turn begins, and a published reading ends when its turn's key would have:
-- the rest of the time to live says how long ago the reading began, by this server's clock alone.
--
-- Returns { age in milliseconds, token, digest, head, body }, the body empty where the digest is the same;
-- 1 for the turn; 0 while another process has it, and where none is wanted.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local ttl_ms = tonumber(ARGV[6])
local found = redis.call('HMGET', KEYS[1], 'token', 'digest', 'head')
-- guard: take_reading_not_the_same_twice: found[1] ~= ARGV[2] => true
if found[1] and found[1] ~= ARGV[2] then
  local age_ms = ttl_ms - redis.call('PTTL', KEYS[1])
  -- guard: take_reading_of_that_age: age_ms <= tonumber(ARGV[4]) => true
  -- guard: take_reading_not_from_the_future: age_ms >= 0 and =>
  if age_ms >= 0 and age_ms <= tonumber(ARGV[4]) then
    local body = ''
    -- guard: take_reading_the_body_of_another => if false then
    if found[2] ~= ARGV[3] then
      body = redis.call('HGET', KEYS[1], 'body')
    end
    return { age_ms, found[1], found[2], found[3], body }
  end
end

local lasts_ms = tonumber(ARGV[5])
local turn_ms = ttl_ms - redis.call('PTTL', KEYS[2])
-- guard: take_reading_one_turn_at_a_time => if false then
-- guard: take_reading_a_turn_ends: turn_ms < lasts_ms => turn_ms < ttl_ms
-- guard: take_reading_no_turn_from_the_future: turn_ms >= 0 and =>
-- guard: take_reading_without_a_turn: lasts_ms == 0 or =>
if lasts_ms == 0 or (turn_ms >= 0 and turn_ms < lasts_ms) then
  return 0
end
-- guard: take_reading_a_turn_has_its_token: ARGV[1] => ''
redis.call('SET', KEYS[2], ARGV[1], 'PX', ttl_ms)
return 1
