-- Count an attempt under all of its limits, or return how long to wait.
--
-- KEYS[i]          attempts that one limit counts, such as failed log-ins of one e-mail from one address
-- ARGV[i]          the limit of KEYS[i]
-- ARGV[#KEYS + 1]  window in milliseconds, from a key's first attempt
--
-- Returns 0 when counted, else the milliseconds until the limits allow another attempt. A refused attempt is
-- not counted, so that repeating it does not extend the wait.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local wait_ms = 0
for i = 1, #KEYS do
  -- no guard: A missing key counts as zero.
  local attempts = tonumber(redis.call('GET', KEYS[i]) or '0')
  -- guard: throttle_past_limit_there_is_wait => if false then
  if attempts >= tonumber(ARGV[i]) then
    wait_ms = math.max(wait_ms, redis.call('PTTL', KEYS[i]), 1)
  end
end
-- guard: throttle_refused_login_is_not_counted => if false then
if wait_ms > 0 then
  return wait_ms
end

for i = 1, #KEYS do
  -- guard: throttle_window_is_first_failures => redis.call('INCR', KEYS[i]) if true then
  if redis.call('INCR', KEYS[i]) == 1 then
    redis.call('PEXPIRE', KEYS[i], ARGV[#KEYS + 1])
  end
end
return 0
