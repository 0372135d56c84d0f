-- Put places that are on record back into a line that is being made anew, in the order in which they were
-- given: the first one that an account had is the best, and stays.
--
-- KEYS[1]  the room
-- KEYS[2]  the places: account to number
-- ARGV[1]  epoch
-- ARGV[2]  the accounts, 16 bytes each without anything between; their number is bounded by the caller
-- ARGV[3]  their numbers, with commas between
--
-- Returns 0, or -1 where nobody is making this line any more.

local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
-- guard: restore_only_into_line_that_is_being_made => if false then
if redis.call('HGET', KEYS[1], 'building') ~= ARGV[1] .. ':' .. run then
    return -1
end

local at = 1
for number in string.gmatch(ARGV[3], '%d+') do
    local account = string.sub(ARGV[2], at, at + 15)
    -- guard: restore_first_place_is_kept: 'HSETNX' => 'HSET'
    redis.call('HSETNX', KEYS[2], account, number)
    at = at + 16
end
return 0
