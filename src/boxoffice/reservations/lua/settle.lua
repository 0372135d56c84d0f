-- Tell the seat lock how transactions ended. Everything is compare-and-set on the owner token, so that
-- a late word about an old claim never touches a newer one.
--
-- KEYS  one seat each, possibly repeated: {schedule_id}:seat:<seat_id>
-- ARGV  per key: its owner token, and the milliseconds for which the seat is known to be taken; 0 where
--       the claim, or the committed hold, is given up
--
-- Returns how many keys were changed.

local changed = 0
for i = 1, #KEYS do
  local owner = ARGV[2 * i - 1]
  local taken_ms = tonumber(ARGV[2 * i])
  local value = redis.call('GET', KEYS[i])
  if value and string.sub(value, 3) == owner then
    if taken_ms <= 0 then
      redis.call('DEL', KEYS[i])
      changed = changed + 1
    elseif value == 'P:' .. owner then
      redis.call('SET', KEYS[i], 'C:' .. owner, 'PX', taken_ms)
      changed = changed + 1
    end
  end
end
return changed
