-- Claim the seats of a batch of requests, all or nothing per request.
--
-- KEYS  the distinct seats of the batch: {schedule_id}:seat:<seat_id>
-- ARGV  1 how long a claim lives, in milliseconds
--       2 the number of requests, then per request
--         its owner token, the number of its seats, and the index in KEYS of each
--
-- A seat's key holds "P:<owner>" while the owner's transaction is open and "C:<owner>" once it committed.
-- Requests of one batch do not refuse each other: PostgreSQL decides among them, because the one that would
-- win here may fail for another reason.
--
-- The caller claims only for people without an earlier reservation in the schedule: PostgreSQL answers a
-- repeated request, even if another person has the seats by now.
--
-- Returns per request: 0 claimed, 1 blocked by an open claim, or the list of taken indexes in KEYS.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local ttl_ms = ARGV[1]
local requests = tonumber(ARGV[2])
local seats = #KEYS

-- Lua's stack holds a few thousand values at once.
local held = {}
for from = 1, seats, 1000 do
  local part = redis.call('MGET', unpack(KEYS, from, math.min(from + 999, seats)))
  for i = 1, #part do
    held[from + i - 1] = part[i]
  end
end
local answers = {}
local mine = {}
local at = 3

for request = 1, requests do
  local owner = ARGV[at]
  local count = tonumber(ARGV[at + 1])
  local busy = false
  local taken = {}
  for i = at + 2, at + 1 + count do
    local seat = tonumber(ARGV[i])
    local value = held[seat]
    -- guard: claim_request_passes_its_claim => if value and not mine[seat] then
    -- guard: claim_requests_of_one_batch_do_not_refuse_each_other: not mine[seat] and =>
    -- guard: claim_what_is_claimed_is_owned => if false then
    if value and not mine[seat] and string.sub(value, 3) ~= owner then
      -- guard: claim_taken_is_not_busy => if false then
      -- guard: claim_busy_is_not_taken => if true then
      if string.sub(value, 1, 1) == 'C' then
        taken[#taken + 1] = seat
      else
        busy = true
      end
    end
  end
  -- guard: claim_all_or_nothing => if false then
  -- guard: claim_busy_request_claims_nothing: or busy =>
  if #taken > 0 or busy then
    -- guard: claim_what_is_taken_is_named => answers[request] = 1
    answers[request] = #taken > 0 and taken or 1
  else
    answers[request] = 0
    for i = at + 2, at + 1 + count do
      local seat = tonumber(ARGV[i])
      -- guard: claim_no_others_claim_is_overwritten => if true then
      if not held[seat] then
        held[seat] = 'P:' .. owner
        mine[seat] = true
        -- guard: claim_claim_ends_by_itself: seat], 'PX', ttl_ms => seat]
        redis.call('SET', KEYS[seat], held[seat], 'PX', ttl_ms)
      end
    end
  end
  at = at + 2 + count
end

return answers
