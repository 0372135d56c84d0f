-- Restore recorded numbers into queue state that is being rebuilt, in the order of issue: the first
-- number of an account is its best one and stays.
--
-- KEYS[1]  queue state
-- KEYS[2]  numbers: account to number
-- ARGV[1]  epoch
-- ARGV[2]  concatenated accounts of 16 bytes; the caller bounds their count
-- ARGV[3]  their numbers, separated by commas
--
-- Returns 0, or -1 when this rebuild is no longer in progress.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local process, reign = string.match(
    redis.call('INFO', 'server', 'replication'), 'run_id:(%w+).*master_replid:(%w+)')
local run = process .. reign
-- guard: restore_only_into_queue_that_is_being_rebuilt => if false then
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
