-- Restore buckets of recorded numbers into queue state that is being rebuilt.
--
-- KEYS[1…17] as in shared.lua
-- ARGV[1]  epoch
-- ARGV[2…] two per bucket, bounded by the caller: field and entries as in shared.lua
--
-- Returns 0, or -1 when this rebuild is no longer in progress.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- guard: restore_only_into_queue_that_is_being_rebuilt => if false then
if redis.call('HGET', KEYS[1], 'building') ~= ARGV[1] .. ':' .. state_owner() then
    return -1
end

for i = 2, #ARGV, 2 do
    redis.call('HSET', shard_of(ARGV[i]), ARGV[i], ARGV[i + 1])
end
return 0
