-- Remove spent numbers from queue state that is being rebuilt: their owners were admitted, so their next
-- join is a new one. An owner who has joined again already has a later number as well, which stays.
--
-- KEYS[1…17] as in shared.lua
-- ARGV[1]  epoch
-- ARGV[2…] two per number, bounded by the caller: account, number
--
-- Returns 0, or -1 when this rebuild is no longer in progress.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- guard: forget_only_in_queue_that_is_being_rebuilt => if false then
if redis.call('HGET', KEYS[1], 'building') ~= ARGV[1] .. ':' .. state_owner() then
    return -1
end

for i = 2, #ARGV, 2 do
    local shard, field, rest = address_of(ARGV[i], 1)
    -- guard: forget_only_the_spent_number: with('', rest, ARGV[i + 1]) => rest
    keep_bucket(shard, field, without(bucket_of(shard, field), with('', rest, ARGV[i + 1])))
end
return 0
