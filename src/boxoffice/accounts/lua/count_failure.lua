-- Count a login as failed under two limits, or say how long to wait. One atomic decision.
--
-- KEYS[1]  failures of one e-mail from one client address
-- KEYS[2]  failures of that e-mail from anywhere
-- ARGV[1]  limit of KEYS[1]
-- ARGV[2]  limit of KEYS[2]
-- ARGV[3]  window in milliseconds, from a key's first failure
--
-- Returns 0 when counted, else the milliseconds until the limits allow another try; a refused login
-- is not counted, so that knocking on a closed door does not keep it closed.

local wait_ms = 0
for i = 1, 2 do
  local failures = tonumber(redis.call('GET', KEYS[i]) or '0')
  if failures >= tonumber(ARGV[i]) then
    wait_ms = math.max(wait_ms, redis.call('PTTL', KEYS[i]), 1)
  end
end
if wait_ms > 0 then
  return wait_ms
end

for i = 1, 2 do
  if redis.call('INCR', KEYS[i]) == 1 then
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  end
end
return 0
