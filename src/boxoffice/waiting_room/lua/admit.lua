-- One beat of the room, by whoever leads: out with those who are silent or out of time, and on with the
-- line as far as there is room for.
--
-- KEYS[1…9] as in enter.lua
-- ARGV[1]  fencing token of the leader
-- ARGV[2]  now in milliseconds
-- ARGV[3]  1 if people are let in now
-- ARGV[4]  how many the rate allows to be called now
-- ARGV[5]  cap on those who are inside
-- ARGV[6]  time inside in milliseconds
-- ARGV[7]  time in milliseconds in which one who is called must come, and after which one is silent
-- ARGV[8]  numbers may be given out up to this one
-- ARGV[9]  among how many the lobby was drawn; 0 for not yet
-- ARGV[10] of how many of those who are out every process knows by now, since the line was made
-- ARGV[11] milliseconds after which a line without a leader is forgotten
-- ARGV[12] how many at most of anything in one beat
-- ARGV[13] what else workers are to know, as they read it
-- ARGV[14] the epoch that has begun by PostgreSQL
-- ARGV[15] how many of those who are out are on record by now, since the line was made
-- ARGV[16…] places that nobody may have; the caller bounds their number
--
-- Returns {joined, called, inside, pending, late, called now, how many of those who are out were let go
-- of since the line was made, {those who are out and not on record: "number:ms:why"}},
-- or {-1} as join.lua does, also where the line is one of an earlier epoch, or {-2} where a later leader was here.

local room = redis.call('HMGET', KEYS[1], 'run', 'token', 'joined', 'called', 'pending', 'now',
    'let_go', 'epoch', 'most')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
-- guard: tick_only_server_that_has_line: room[1] ~= run or =>
-- guard: tick_no_line_of_earlier_epoch => if room[1] ~= run then
if room[1] ~= run or tonumber(room[8]) < tonumber(ARGV[14]) then
    return { -1 }
end
-- guard: tick_no_earlier_leader => if false then
if tonumber(ARGV[1]) < tonumber(room[2]) then
    return { -2 }
end

local joined, called, pending = tonumber(room[3]), tonumber(room[4]), tonumber(room[5])
-- guard: tick_time_never_goes_back => local now = tonumber(ARGV[2])
local now = math.max(tonumber(ARGV[2]), tonumber(room[6]))
local cap, grace_ms, at_most = tonumber(ARGV[5]), tonumber(ARGV[7]), tonumber(ARGV[12])
-- How long one who came too late for a call is waited for between two questions.
local late_ms = 15000

local let_go = tonumber(room[7])
-- guard: tick_exit_is_counted_once: - let_go =>
local known = tonumber(ARGV[10]) - let_go
-- guard: tick_no_exits_by_a_stale_leader => if true then
if known > 0 then
    redis.call('LTRIM', KEYS[9], known, -1)
    let_go = let_go + known
end

-- guard: tick_only_silent_persons_exit: now => '+inf'
-- guard: tick_exits_are_bounded: now, 'LIMIT', 0, at_most => now
for _, account in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, at_most)) do
    local ends_at, number = string.match(redis.call('HGET', KEYS[4], account), '(%d+):(%d+)')
    -- guard: tick_silence_is_not_end_of_time => local why = 'time'
    -- guard: tick_end_of_time_is_not_silence => local why = 'silent'
    local why = tonumber(ends_at) <= now and 'time' or 'silent'
    redis.call('ZREM', KEYS[3], account)
    redis.call('HDEL', KEYS[4], account)
    -- guard: tick_exit_removes_the_number
    redis.call('HDEL', KEYS[2], account)
    redis.call('RPUSH', KEYS[9], string.format('%s:%d:%s', number, now, why))
end

for _, call in ipairs(redis.call('ZRANGE', KEYS[5], 0, at_most - 1)) do
    local last, deadline = string.match(call, ':(%d+):(%d+):')
    -- no guard: A missing count means none left; the next line decides.
    local left = tonumber(redis.call('HGET', KEYS[6], last) or '0')
    -- guard: tick_call_that_is_used_up_is_over: left > 0 and =>
    -- guard: tick_call_lapses => if left > 0 then
    -- guard: tick_call_is_open_until_its_end => if false then
    if left > 0 and tonumber(deadline) >= now then
        break
    end
    pending = pending - left
    redis.call('ZREM', KEYS[5], call)
    redis.call('HDEL', KEYS[6], last)
end

for i = 16, #ARGV do
    -- no guard: Saves memory for places that were called already.
    if tonumber(ARGV[i]) > called then
        redis.call('SETBIT', KEYS[8], ARGV[i], 1)
    end
end

-- guard: tick_wait_for_late_is_bounded
redis.call('ZREMRANGEBYSCORE', KEYS[7], '-inf', now - late_ms)
local late = redis.call('ZCARD', KEYS[7])
local inside = redis.call('ZCARD', KEYS[3])
-- guard: tick_insiders_count: inside + =>
-- guard: tick_unrecorded_exits_count => local used = inside + pending
-- guard: tick_called_count: + pending =>
local used = inside + redis.call('LLEN', KEYS[9]) + pending
-- guard: tick_late_before_uncalled: - late =>
local free = cap - used - late
-- The cap within which all of them were called or let in; a lower one holds once it is kept.
-- guard: tick_cap_that_was_lowered_holds_once_it_is_kept: used <= cap and cap or =>
-- guard: tick_lowered_cap_keeps_the_called => local most = cap
local most = used <= cap and cap or math.max(cap, tonumber(room[9] or '0'))
-- guard: tick_no_more_are_called_than_there_are_places: free, =>
-- guard: tick_no_more_are_called_than_rate_allows: tonumber(ARGV[4]), =>
-- guard: tick_calls_per_tick_are_bounded: 4]), at_most => 4])
local wanted = math.min(free, tonumber(ARGV[4]), at_most)
local got, first = 0, called + 1
-- guard: tick_no_calls_while_closed => if wanted > 0 then
if ARGV[3] == '1' and wanted > 0 then
    -- Nobody stands where somebody has left, or where a lost line may have had nobody: such stretches
    -- are stepped over, in steps that grow while there is nobody and shrink where there are too many.
    local step = wanted
    for _ = 1, 200 do
        -- guard: tick_only_joined_are_called => step = math.max(step, 0)
        step = math.min(step, joined - called)
        -- guard: tick_line_never_goes_back: step < 1 or =>
        if step < 1 or got >= wanted then
            break
        end
        -- guard: tick_unowned_places_do_not_count => local there = step
        local there = step - redis.call('BITCOUNT', KEYS[8], called + 1, called + step, 'BIT')
        -- guard: tick_step_that_is_too_long_is_shortened => if true then
        if got + there <= wanted then
            got = got + there
            called = called + step
            -- no guard: Saves ticks over a long stretch of unowned places.
            step = there == 0 and step * 8 or wanted - got
        else
            step = math.floor(step / 2)
        end
    end
    -- guard: tick_empty_call_takes_no_others_place => if true then
    if got > 0 then
        local call = string.format('%d:%d:%d:%d', first, called, now + grace_ms, cap)
        redis.call('ZADD', KEYS[5], called, call)
        redis.call('HSET', KEYS[6], called, got)
        pending = pending + got
    end
end

redis.call(
    -- guard: tick_fenced_by_leader_token: 'token', ARGV[1], =>
    'HSET', KEYS[1], 'token', ARGV[1], 'now', now, 'called', called, 'pending', pending, 'cap', cap,
    'most', most,
    'inside_ms', ARGV[6], 'grace_ms', ARGV[7], 'limit', ARGV[8], 'drawn', ARGV[9], 'open', ARGV[3],
    'inside', inside, 'told', ARGV[13], 'let_go', let_go)
for i = 1, #KEYS do
    redis.call('PEXPIRE', KEYS[i], ARGV[11])
end
local on_record = math.max(0, tonumber(ARGV[15]) - let_go)
local out = redis.call('LRANGE', KEYS[9], on_record, on_record + at_most - 1)
return { joined, called, inside, pending, late, got, let_go, out }
