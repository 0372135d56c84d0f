-- Write counts of tickets by hour and schedule; optionally begin or end a rebuild.
--
-- KEYS[1]  the marker: counts are complete while it exists
-- KEYS[2…] sorted sets, one per hour: schedule and count
-- ARGV[1]  lifetime of the sets in ms
-- ARGV[2]  1 to delete all sets of KEYS first, for a rebuild
-- ARGV[3]  lifetime of the marker in ms to end a rebuild, 0 to leave it
-- ARGV[4…] three per count: index in KEYS, schedule, count; the caller bounds their number
--
-- Returns the number of counts.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- guard: ranking_rebuild_begins_empty => if false then
if ARGV[2] == '1' then
    redis.call('DEL', unpack(KEYS))
end
for i = 4, #ARGV, 3 do
    redis.call('ZADD', KEYS[tonumber(ARGV[i])], ARGV[i + 2], ARGV[i + 1])
end
for i = 2, #KEYS do
    redis.call('PEXPIRE', KEYS[i], ARGV[1])
end
-- guard: ranking_rebuild_ends_marked => if false then
if ARGV[3] ~= '0' then
    redis.call('SET', KEYS[1], '1', 'PX', ARGV[3])
end
return (#ARGV - 3) / 3
