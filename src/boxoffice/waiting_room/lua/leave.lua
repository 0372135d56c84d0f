-- Remove users from the queue, or from inside.
--
-- KEYS[1…25] as in enter.lua
-- ARGV[1]  now in ms
-- ARGV[2]  reason: left or paid; a payment ends the time inside but not a place in the queue
-- ARGV[3…] three per user, bounded by the caller: account, number, place (0 when unknown)
--
-- Returns how many were inside, or -1 as join.lua. Idempotent.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local state = KEYS[1]
local insiders, admissions, calls, unclaimed, late_users, vacant, exits = unpack(KEYS, 18)
local state_run, last_called, last_now = unpack(redis.call('HMGET', state, 'run', 'called', 'now'))
-- guard: leave_only_server_that_has_queue => if false then
if state_run ~= state_owner() then
    return -1
end

-- guard: leave_time_never_goes_back => local called, now = tonumber(last_called), tonumber(ARGV[1])
local called, now = tonumber(last_called), math.max(tonumber(ARGV[1]), tonumber(last_now))
redis.call('HSET', state, 'now', now)

local function leave_queue(account, place)
    -- guard: leave_late_leaver_is_not_waited_for
    redis.call('ZREM', late_users, account)
    -- guard: leave_leaving_the_queue_removes_the_number
    remove_number(account)
    -- guard: leave_uncalled_place_is_freed => if false then
    -- guard: leave_called_leaver_is_not_waited_for => if true then
    if place > called then
        redis.call('SETBIT', vacant, place, 1)
        return
    end
    -- no guard: Saves a look-up: no call begins at place 0.
    local call = place > 0 and redis.call('ZRANGEBYSCORE', calls, place, '+inf', 'LIMIT', 0, 1)[1]
    -- guard: leave_there_may_be_no_call: or '' =>
    local first, last = string.match(call or '', '(%d+):(%d+):')
    -- guard: leave_where_there_is_no_call_nothing_is_used_up: first and =>
    -- guard: leave_call_covers_its_places: place >= tonumber(first) and =>
    -- guard: leave_uncounted_leaver_is_not_waited_for => if first and place >= tonumber(first) then
    if first and place >= tonumber(first) and tonumber(redis.call('HGET', unclaimed, last) or '0') > 0 then
        redis.call('HINCRBY', unclaimed, last, -1)
        redis.call('HINCRBY', state, 'pending', -1)
    end
end

local were_inside = 0
for i = 3, #ARGV, 3 do
    local account, number = ARGV[i], ARGV[i + 1]
    local inside = redis.call('HGET', admissions, account)
    -- guard: leave_insider_exits => if false then
    if inside then
        local own = string.match(inside, ':(%d+):')
        redis.call('ZREM', insiders, account)
        redis.call('HDEL', admissions, account)
        -- guard: leave_exit_removes_number
        remove_number(account)
        -- guard: leave_place_is_free_once_recorded
        redis.call('RPUSH', exits, string.format('%s:%d:%s', own, now, ARGV[2]))
        were_inside = were_inside + 1
    -- guard: leave_buyer_keeps_the_number: ARGV[2] == 'left' and =>
    -- guard: leave_only_the_own_number => elseif ARGV[2] == 'left' then
    elseif ARGV[2] == 'left' and number_of(account) == tonumber(number) then
        leave_queue(account, tonumber(ARGV[i + 2]))
    end
end
return were_inside
