-- Issue each account a number: the one that it has, or the next one.
--
-- KEYS[1…17] as in shared.lua
-- ARGV[1]  concatenated accounts of 16 bytes; the caller bounds their count
--
-- Returns, separated by commas, the epoch and a number per account: negative when the account already had
-- it, 0 when no number is reserved. Returns 'lost' when the server has restarted, was promoted or flushed
-- since the state was built. One long argument and reply cost the client a fraction of many short ones.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local room = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'joined', 'limit')
-- guard: join_only_server_that_has_queue => if false then
if room[1] ~= state_owner() then
    return 'lost'
end

local answer = { room[2] }
local joined, limit = tonumber(room[3]), tonumber(room[4])
local before = joined
for at = 1, #ARGV[1], 16 do
    local shard, field, rest = address_of(ARGV[1], at)
    local bucket = bucket_of(shard, field)
    -- guard: join_one_number_per_account => local number = 0
    local number = -(number_in(bucket, rest) or 0)
    -- guard: join_number_is_kept: number == 0 and =>
    -- guard: join_no_number_above_those_that_are_reserved => if number == 0 then
    if number == 0 and joined < limit then
        joined = joined + 1
        number = joined
        call('HSET', shard, field, with(bucket, rest, number))
    end
    answer[#answer + 1] = number
end
-- no guard: Saves a write of an unchanged value.
if joined > before then
    redis.call('HSET', KEYS[1], 'joined', joined)
end
return table.concat(answer, ',')
