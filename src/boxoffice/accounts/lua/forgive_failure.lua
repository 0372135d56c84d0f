-- Take back what count_failure.lua counted for one login.
--
-- KEYS[1]  failures of one e-mail from one client address
-- KEYS[2]  failures of that e-mail from anywhere
-- ARGV[1]  1 if the login succeeded: KEYS[1] is cleared; 0 if it was never decided
--
-- Returns 0. A key whose window has ended in between is left alone: to count it below zero would
-- grant extra tries, and would make a key that never expires.

for i = 1, 2 do
  if tonumber(redis.call('GET', KEYS[i]) or '0') > 0 then
    redis.call('DECR', KEYS[i])
  end
end
if ARGV[1] == '1' then
  redis.call('DEL', KEYS[1])
end
return 0
