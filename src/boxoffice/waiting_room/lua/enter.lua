-- Admit called users, and extend the grace of those inside.
--
-- KEYS[1…17] as in shared.lua
-- KEYS[18] users inside: account scored by the end of the grace or of the time inside, in ms
-- KEYS[19] admissions: account to "end of the time inside in ms:number:place:users inside at the
--          admission:cap at the admission:admitted at in ms"
-- KEYS[20] open calls: "first place:last place:deadline in ms:cap" scored by last place
-- KEYS[21] unclaimed: last place of an open call to the count of called users not admitted yet
-- KEYS[22] late users, whose call has lapsed: account scored by the last poll
-- KEYS[23] vacant places, one bit each
-- KEYS[24] exits that are not yet known to every process, "number:ms:reason"
-- KEYS[25] numbers as the previous release keeps them, in one hash
-- ARGV[1]  now in ms
-- ARGV[2]  the size of the draw that the caller knows; 0 before the draw, -1 to admit no user
-- ARGV[3…] four per user, bounded by the caller: account, number, place, epoch of the ticket
--
-- Returns {called, now, epoch} and per user {code, …}, or -1 alone as join.lua. The codes:
-- A admitted, I was inside: the end of the grace in ms, and the value of KEYS[19]
-- W waits; L is next, when a place becomes free
-- P has another number, which follows
-- S spent: the number was admitted before, or given up
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local state = KEYS[1]
local insiders, admissions, calls, unclaimed, late_users, vacant, exits = unpack(KEYS, 18)
local state_run, epoch, called, cap, inside_ms, grace_ms, drawn, last_now, is_open, peak_cap =
    unpack(redis.call(
        'HMGET', state, 'run', 'epoch', 'called', 'cap', 'inside_ms', 'grace_ms', 'drawn', 'now', 'open',
        'peak_cap'))
-- guard: enter_only_server_that_has_queue => if false then
if state_run ~= state_owner() then
    return { -1 }
end

epoch, called, cap = tonumber(epoch), tonumber(called), tonumber(cap)
inside_ms, grace_ms = tonumber(inside_ms), tonumber(grace_ms)
-- guard: enter_time_never_goes_back => local now = tonumber(ARGV[1])
local now = math.max(tonumber(ARGV[1]), tonumber(last_now))
-- guard: enter_caller_knows_same_draw => local is_drawn = true
local is_drawn = drawn == ARGV[2]
redis.call('HSET', state, 'now', now)

local function stay(account, code, packed)
    -- guard: enter_presence_ends_with_the_stay => local due = now + grace_ms
    local due = math.min(now + grace_ms, tonumber(string.match(packed, '%d+')))
    redis.call('ZADD', insiders, due, account)
    return { code, due, packed }
end

-- Both return the cap of the taken place, or nil.
local function take_called(place)
    -- no guard: Only the first result is used.
    local call = redis.call('ZRANGEBYSCORE', calls, place, '+inf', 'LIMIT', 0, 1)[1]
    -- guard: enter_there_is_call => if false then
    if not call then
        return nil
    end
    local first, last, deadline, own_cap = string.match(call, '(%d+):(%d+):(%d+):(%d+)')
    -- no guard: A missing count means none left; the next line decides.
    local left = tonumber(redis.call('HGET', unclaimed, last) or '0')
    -- guard: enter_call_covers_its_places: place < tonumber(first) or =>
    -- guard: enter_call_lapses: tonumber(deadline) < now or =>
    -- guard: enter_call_is_used_up: or left <= 0 =>
    if place < tonumber(first) or tonumber(deadline) < now or left <= 0 then
        return nil
    end
    -- guard: enter_entry_uses_the_call
    redis.call('HINCRBY', unclaimed, last, -1)
    -- guard: enter_entry_ends_the_wait
    redis.call('HINCRBY', state, 'pending', -1)
    -- After the cap was raised, users called later may be inside already.
    -- guard: enter_cap_was_raised_since_call => return tonumber(own_cap)
    return math.max(tonumber(own_cap), tonumber(peak_cap or '0'))
end

local function take_free()
    local pending = tonumber(redis.call('HGET', state, 'pending'))
    -- guard: enter_insiders_count: 'ZCARD', insiders) + redis.call( =>
    -- guard: enter_unrecorded_exits_count: redis.call('LLEN', exits) + =>
    -- guard: enter_called_count: + pending =>
    local used = redis.call('ZCARD', insiders) + redis.call('LLEN', exits) + pending
    -- guard: enter_no_free_place_while_closed: is_open == '1' and =>
    -- guard: enter_no_free_place_past_cap: used < cap and =>
    return is_open == '1' and used < cap and cap or nil
end

local function enter(account, number, place)
    -- guard: enter_not_before_the_turn: place > called or =>
    -- guard: enter_not_by_another_draw: or not is_drawn =>
    if place > called or not is_drawn then
        return { 'W' }
    end
    -- guard: enter_call_keeps_place: take_called(place) or =>
    -- guard: enter_late_takes_a_free_place: or take_free() =>
    local own_cap = take_called(place) or take_free()
    -- guard: enter_needs_a_place => if false then
    if not own_cap then
        -- guard: enter_late_is_waited_for
        redis.call('ZADD', late_users, now, account)
        return { 'L' }
    end
    redis.call('ZREM', late_users, account)
    local inside = redis.call('ZCARD', insiders) + redis.call('LLEN', exits) + 1
    local packed = string.format(
        '%d:%d:%d:%d:%d:%d', now + inside_ms, number, place, inside, own_cap, now)
    redis.call('HSET', admissions, account, packed)
    return stay(account, 'A', packed)
end

local function decide(account, number, place, ticket_epoch)
    local inside = redis.call('HGET', admissions, account)
    -- guard: enter_insider_stays => if false then
    if inside then
        return stay(account, 'I', inside)
    end
    -- no guard: A missing number is zero; the lines below decide.
    local known = number_of(account) or 0
    -- guard: enter_number_is_of_the_account => if false then
    if known ~= number then
        -- guard: enter_unknown_number_is_spent: ticket_epoch == epoch or =>
        -- guard: enter_better_of_two_numbers_counts => if ticket_epoch == epoch then
        if ticket_epoch == epoch or (known > 0 and known < number) then
            -- guard: enter_other_number_is_reported => return { 'S' }
            -- guard: enter_missing_number_is_reported => return { 'P', known }
            return known > 0 and { 'P', known } or { 'S' }
        end
        -- The queue was lost after this ticket was signed, so its number is restored from the ticket.
        set_number(account, number)
        -- guard: enter_claimed_place_is_owned
        redis.call('SETBIT', vacant, place, 0)
    end
    return enter(account, number, place)
end

local answer = { called, now, epoch }
for i = 3, #ARGV, 4 do
    answer[#answer + 1] = decide(
        ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]))
end
return answer
