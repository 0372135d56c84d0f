-- One tick of the leader: end the admissions whose grace or time is over, and call numbers while the
-- rate and the cap allow.
--
-- KEYS[1…25] as in enter.lua
-- ARGV[1]  fencing token of the leader
-- ARGV[2]  now in ms
-- ARGV[3]  1 while numbers are called
-- ARGV[4]  count that the rate allows to call now
-- ARGV[5]  cap of users inside
-- ARGV[6]  time inside in ms
-- ARGV[7]  grace in ms: to come after a call, and between heartbeats inside
-- ARGV[8]  numbers may be issued up to this one
-- ARGV[9]  size of the draw; 0 before the draw
-- ARGV[10] count of exits since the rebuild that every process knows
-- ARGV[11] lifetime in ms of a queue without a leader
-- ARGV[12] limit of calls, and of exits, per tick
-- ARGV[13] summary for workers, opaque here
-- ARGV[14] current epoch in PostgreSQL
-- ARGV[15] count of exits since the rebuild that are recorded
-- ARGV[16…] possibly vacant places; the caller bounds their count
--
-- Returns {joined, called, inside, pending, late, called now, count of exits released since the rebuild,
-- {exits not recorded yet: "number:ms:reason"}}, {-1} as join.lua and for an earlier epoch, or {-2} after
-- a later leader.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local state = KEYS[1]
local insiders, admissions, calls, unclaimed, late_users, vacant, exits = unpack(KEYS, 18)
local state_run, token, joined, called, pending, last_now, released, epoch, last_peak_cap, tables =
    unpack(redis.call('HMGET', state, 'run', 'token', 'joined', 'called', 'pending', 'now', 'released',
        'epoch', 'peak_cap', 'tables'))
-- guard: tick_only_server_that_has_queue: state_run ~= state_owner() or =>
-- guard: tick_no_queue_of_earlier_epoch => if state_run ~= state_owner() then
if state_run ~= state_owner() or tonumber(epoch) < tonumber(ARGV[14]) then
    return { -1 }
end
-- guard: tick_no_earlier_leader => if false then
if tonumber(ARGV[1]) < tonumber(token) then
    return { -2 }
end

joined, called, pending = tonumber(joined), tonumber(called), tonumber(pending)
-- guard: tick_time_never_goes_back => local now = tonumber(ARGV[2])
local now = math.max(tonumber(ARGV[2]), tonumber(last_now))
local cap, grace_ms, at_most = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[12])
-- A late user keeps priority over uncalled ones for this long after a poll.
local late_ms = 15000

released = tonumber(released)
-- guard: tick_exit_is_counted_once: - released =>
local known = tonumber(ARGV[10]) - released
-- guard: tick_no_exits_by_a_stale_leader => if true then
if known > 0 then
    redis.call('LTRIM', exits, known, -1)
    released = released + known
end

-- guard: tick_only_silent_persons_exit: now => '+inf'
-- guard: tick_exits_are_bounded: now, 'LIMIT', 0, at_most => now
for _, account in ipairs(redis.call('ZRANGEBYSCORE', insiders, '-inf', now, 'LIMIT', 0, at_most)) do
    local ends_at, number = string.match(redis.call('HGET', admissions, account), '(%d+):(%d+)')
    -- guard: tick_silence_is_not_end_of_time => local reason = 'time'
    -- guard: tick_end_of_time_is_not_silence => local reason = 'silent'
    local reason = tonumber(ends_at) <= now and 'time' or 'silent'
    redis.call('ZREM', insiders, account)
    redis.call('HDEL', admissions, account)
    -- guard: tick_exit_removes_the_number
    remove_number(account)
    redis.call('RPUSH', exits, string.format('%s:%d:%s', number, now, reason))
end

for _, call in ipairs(redis.call('ZRANGE', calls, 0, at_most - 1)) do
    local last, deadline = string.match(call, ':(%d+):(%d+):')
    -- no guard: A missing count means none left; the next line decides.
    local left = tonumber(redis.call('HGET', unclaimed, last) or '0')
    -- guard: tick_call_that_is_used_up_is_over: left > 0 and =>
    -- guard: tick_call_lapses => if left > 0 then
    -- guard: tick_call_is_open_until_its_end => if false then
    if left > 0 and tonumber(deadline) >= now then
        break
    end
    pending = pending - left
    redis.call('ZREM', calls, call)
    redis.call('HDEL', unclaimed, last)
end

for i = 16, #ARGV do
    -- no guard: Saves memory for places that were called already.
    if tonumber(ARGV[i]) > called then
        redis.call('SETBIT', vacant, ARGV[i], 1)
    end
end

-- guard: tick_wait_for_late_is_bounded
redis.call('ZREMRANGEBYSCORE', late_users, '-inf', now - late_ms)
local late = redis.call('ZCARD', late_users)
local inside = redis.call('ZCARD', insiders)
-- guard: tick_insiders_count: inside + =>
-- guard: tick_unrecorded_exits_count => local used = inside + pending
-- guard: tick_called_count: + pending =>
local used = inside + redis.call('LLEN', exits) + pending
-- guard: tick_late_before_uncalled: - late =>
local free = cap - used - late
-- The highest cap in force for present users; a lowered cap applies once the count is within it.
-- guard: tick_cap_that_was_lowered_holds_once_it_is_kept: used <= cap and cap or =>
-- guard: tick_lowered_cap_keeps_the_called => local peak_cap = cap
local peak_cap = used <= cap and cap or math.max(cap, tonumber(last_peak_cap or '0'))
-- guard: tick_no_more_are_called_than_there_are_places: free, =>
-- guard: tick_no_more_are_called_than_rate_allows: tonumber(ARGV[4]), =>
-- guard: tick_calls_per_tick_are_bounded: 4]), at_most => 4])
local wanted = math.min(free, tonumber(ARGV[4]), at_most)
local called_now, first = 0, called + 1
-- guard: tick_no_calls_while_closed => if wanted > 0 then
if ARGV[3] == '1' and wanted > 0 then
    -- Skip vacant places, which leaves and rebuilds cause, in steps that grow over vacant ranges and
    -- shrink when a step holds too many users.
    local step = wanted
    for _ = 1, 200 do
        -- guard: tick_only_joined_are_called => step = math.max(step, 0)
        step = math.min(step, joined - called)
        -- guard: tick_calls_never_go_back: step < 1 or =>
        if step < 1 or called_now >= wanted then
            break
        end
        -- guard: tick_unowned_places_do_not_count => local there = step
        local there = step - redis.call('BITCOUNT', vacant, called + 1, called + step, 'BIT')
        -- guard: tick_step_that_is_too_long_is_shortened => if true then
        if called_now + there <= wanted then
            called_now = called_now + there
            called = called + step
            -- no guard: Saves ticks over a long stretch of unowned places.
            step = there == 0 and step * 8 or wanted - called_now
        else
            step = math.floor(step / 2)
        end
    end
    -- guard: tick_empty_call_takes_no_others_place => if true then
    if called_now > 0 then
        local call = string.format('%d:%d:%d:%d', first, called, now + grace_ms, cap)
        redis.call('ZADD', calls, called, call)
        redis.call('HSET', unclaimed, called, called_now)
        pending = pending + called_now
    end
end

redis.call(
    -- guard: tick_fenced_by_leader_token: 'token', ARGV[1], =>
    'HSET', state, 'token', ARGV[1], 'now', now, 'called', called, 'pending', pending, 'cap', cap,
    'peak_cap', peak_cap,
    'inside_ms', ARGV[6], 'grace_ms', ARGV[7], 'limit', ARGV[8], 'drawn', ARGV[9], 'open', ARGV[3],
    'inside', inside, 'summary', ARGV[13], 'released', released)
for i = 1, #KEYS do
    redis.call('PEXPIRE', KEYS[i], ARGV[11])
end
-- no guard: Only the time of a look-up depends on it.
if not tables and joined >= TABLES_FROM then
    keep_as_tables()
    redis.call('HSET', state, 'tables', 1)
end
local on_record = math.max(0, tonumber(ARGV[15]) - released)
local unrecorded = redis.call('LRANGE', exits, on_record, on_record + at_most - 1)
return { joined, called, inside, pending, late, called_now, released, unrecorded }
