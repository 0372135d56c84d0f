-- Undo what count_attempt.lua counted for one attempt.
--
-- KEYS[i]  attempts that one limit counts
-- ARGV[1]  1 if KEYS[1] is to be cleared, as after a log-in that succeeded; else 0
--
-- Returns 0. A key whose window has ended is left alone: a negative count would grant extra attempts and
-- would never expire.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

for i = 1, #KEYS do
  -- guard: throttle_nothing_is_forgiven_below_zero => if true then
  if tonumber(redis.call('GET', KEYS[i]) or '0') > 0 then
    redis.call('DECR', KEYS[i])
  end
end
-- guard: throttle_only_login_that_succeeded_clears => if true then
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[1])
end
return 0
