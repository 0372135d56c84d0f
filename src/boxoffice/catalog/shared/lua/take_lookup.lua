-- Take a look-up that another process published, or the turn to read; `reading_turn.lua` stands before this
-- text.
--
-- KEYS  1 the published look-up, 2 the turn
-- ARGV  1 to 4 as in `reading_turn.lua`
--
-- Returns { age in milliseconds, look-up }; 1 for the turn; 0 while another process has it, and where none
-- is wanted.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local age_ms = published_age_ms()
-- guard: take_lookup_that_is_published => if false then
if age_ms then
  return { age_ms, redis.call('GET', KEYS[1]) }
end
return take_turn()
