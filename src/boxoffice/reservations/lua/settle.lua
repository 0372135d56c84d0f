-- End claims after their transactions. Each change is a compare-and-set on the owner token, so that a late
-- call for an old claim never touches a newer one.
--
-- KEYS  one seat each, possibly repeated: {schedule_id}:seat:<seat_id>
-- ARGV  1 how long a claim lives, in milliseconds
--       then per seat its owner token, and the milliseconds, counted from the claim, for which the seat
--       is taken; 0 deletes the claim or the mark of a committed hold
--
-- The time left is computed from the claim's own expiry, so that a delayed call (Valkey was paused) does not
-- mark a seat for too long.
--
-- Returns how many seats were changed.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local claim_ms = tonumber(ARGV[1])

local changed = 0
for seat = 1, #KEYS do
  local key = KEYS[seat]
  local owner = ARGV[2 * seat]
  local taken_ms = tonumber(ARGV[1 + 2 * seat])
  local value = redis.call('GET', key)
  -- guard: settle_late_message_touches_no_newer_claim => if value then
  if value and string.sub(value, 3) == owner then
    -- guard: settle_what_is_given_up_is_deleted => if false then
    if taken_ms <= 0 then
      redis.call('DEL', key)
      changed = changed + 1
    -- guard: settle_only_open_claim_becomes_mark => else
    elseif value == 'P:' .. owner then
      -- guard: settle_no_mark_lives_longer_than_hold: - math.max(0, claim_ms - taken_ms) =>
      local left_ms = redis.call('PTTL', key) - math.max(0, claim_ms - taken_ms)
      -- guard: settle_no_mark_past_its_time => if true then
      if left_ms > 0 then
        redis.call('SET', key, 'C:' .. owner, 'PX', left_ms)
      else
        redis.call('DEL', key)
      end
      changed = changed + 1
    end
  end
end
return changed
