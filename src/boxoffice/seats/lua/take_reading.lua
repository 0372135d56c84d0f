-- Take the reading that another process published, or the turn to read; `reading_turn.lua` stands before
-- this text.
--
-- KEYS  1 the published reading, 2 the turn
-- ARGV  1 to 4 as in `reading_turn.lua`
--       5 the token of the reading that this process has already, 6 the digest of that reading
--
-- Returns { age in milliseconds, token, digest, head, body }, the body empty where the digest is the same;
-- 1 for the turn; 0 while another process has it, and where none is wanted.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local age_ms = published_age_ms()
local found = redis.call('HMGET', KEYS[1], 'token', 'digest', 'head')
-- guard: take_reading_not_the_same_twice: found[1] ~= ARGV[5] => true
if age_ms and found[1] and found[1] ~= ARGV[5] then
  local body = ''
  -- guard: take_reading_the_body_of_another => if false then
  if found[2] ~= ARGV[6] then
    body = redis.call('HGET', KEYS[1], 'body')
  end
  return { age_ms, found[1], found[2], found[3], body }
end
return take_turn()
