-- Take a look-up that another process published, or the turn to read for all.
--
-- KEYS  1 the published look-up, 2 the turn
-- ARGV  1 the token of this process for a turn
--       2 how old a look-up may be, in milliseconds
--       3 how long a turn lasts, in milliseconds; 0 where none is wanted
--       4 the time to live of both keys when a turn begins, in milliseconds
--
-- As in take_reading.lua of the seats, the rest of the time to live says how long ago the turn began.
--
-- Returns { age in milliseconds, look-up }; 1 for the turn; 0 while another process has it, and where none
-- is wanted.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local ttl_ms = tonumber(ARGV[4])
local found = redis.call('GET', KEYS[1])
local age_ms = ttl_ms - redis.call('PTTL', KEYS[1])
-- guard: take_lookup_of_that_age: and age_ms <= tonumber(ARGV[2]) =>
-- guard: take_lookup_not_from_the_future: and age_ms >= 0 =>
if found and age_ms >= 0 and age_ms <= tonumber(ARGV[2]) then
  return { age_ms, found }
end

local lasts_ms = tonumber(ARGV[3])
local turn_ms = ttl_ms - redis.call('PTTL', KEYS[2])
-- guard: take_lookup_one_turn_at_a_time => if lasts_ms == 0 then
-- guard: take_lookup_a_turn_ends: turn_ms < lasts_ms => turn_ms < ttl_ms
-- guard: take_lookup_no_turn_from_the_future: turn_ms >= 0 and =>
-- guard: take_lookup_without_a_turn: lasts_ms == 0 or =>
if lasts_ms == 0 or (turn_ms >= 0 and turn_ms < lasts_ms) then
  return 0
end
-- guard: take_lookup_a_turn_has_its_token: ARGV[1] => ''
redis.call('SET', KEYS[2], ARGV[1], 'PX', ttl_ms)
return 1
