-- Give the numbers of people without account to accounts.
--
-- KEYS[1…25] as in enter.lua
-- ARGV[1]  1: an account that has a number keeps the lower one, and one that is called; 0: it keeps its own
-- ARGV[2…] five per number, bounded by the caller: account, identity that has the number, number, place,
--          epoch of the ticket
--
-- Returns per number the one that the account has now, 0 for a number that was given up; or -1 alone as
-- join.lua. Idempotent. PostgreSQL has decided before whose a number is.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local state, admissions, vacant = KEYS[1], KEYS[19], KEYS[23]
local state_run, epoch, called = unpack(redis.call('HMGET', state, 'run', 'epoch', 'called'))
-- guard: redeem_only_server_that_has_queue => if false then
if state_run ~= state_owner() then
    return { -1 }
end
epoch, called = tonumber(epoch), tonumber(called)

local function give_up(identity, place)
    remove_number(identity)
    -- guard: redeem_called_place_is_not_freed => if true then
    if place > called then
        -- guard: redeem_place_given_up_is_free
        redis.call('SETBIT', vacant, place, 1)
    end
end

local function redeem(account, holder, number, place, ticket_epoch)
    local inside = redis.call('HGET', admissions, account)
    -- guard: redeem_insider_keeps_the_number => if false then
    if inside then
        return tonumber(string.match(inside, ':(%d+):'))
    end
    -- no guard: { A missing number is zero; the lines below decide.
    local own, held = number_of(account) or 0, number_of(holder) or 0
    -- no guard: }
    -- no guard: Saves the work below, which comes to the same.
    if own == number then
        return number
    end
    -- The call of an earlier number lapses first, so a called number stays, too.
    -- guard: redeem_own_number_stays_in_a_draw: ARGV[1] == '0' or =>
    -- guard: redeem_earlier_number_stays: or own < number =>
    -- guard: redeem_called_number_stays: or own <= called =>
    if own > 0 and (ARGV[1] == '0' or own < number or own <= called) then
        -- guard: redeem_only_a_held_number_is_given_up => if true then
        if held == number then
            give_up(holder, place)
        end
        return own
    end
    -- The queue was lost after a ticket of an earlier epoch was signed: it may be all that has the number.
    -- guard: redeem_number_that_was_given_up => if false then
    -- guard: redeem_ticket_of_an_earlier_epoch_counts: and (ticket_epoch == epoch or held > 0) =>
    -- guard: redeem_holder_of_another_number: or held > 0 =>
    if held ~= number and (ticket_epoch == epoch or held > 0) then
        return own
    end
    -- guard: redeem_holder_has_the_number_no_more
    remove_number(holder)
    -- guard: redeem_later_number_is_given_up => if false then
    if own > 0 then
        give_up(account, own)
    end
    set_number(account, number)
    -- guard: redeem_claimed_place_is_owned
    redis.call('SETBIT', vacant, place, 0)
    return number
end

local answer = {}
for i = 2, #ARGV, 5 do
    answer[#answer + 1] = redeem(
        ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3]), tonumber(ARGV[i + 4]))
end
return answer
