-- Append a batch of events to the stream, unless a later holder of the lease has published.
--
-- KEYS[1]  the stream
-- KEYS[2]  the fence: the highest fencing token that has published
-- ARGV[1]  the caller's fencing token
-- ARGV[2]  lifetime of the fence in ms; a new database restarts its tokens and must not be locked out
--          for ever
-- ARGV[3]  approximate length of the stream
-- ARGV[4…] four per event: event_id, topic, created_at, data; the caller bounds their count
--
-- Returns the number of appended events, or -1 when the caller's lease is over.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local token = tonumber(ARGV[1])
-- no guard: A missing key counts as zero.
local fence = tonumber(redis.call('GET', KEYS[2]) or '0')
-- guard: publish_fences_off_an_old_relay => if false then
if token < fence then
    return -1
end
-- guard: publish_fence_is_set
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])

local appended = 0
for i = 4, #ARGV, 4 do
    redis.call(
        'XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], '*',
        'event_id', ARGV[i], 'topic', ARGV[i + 1], 'created_at', ARGV[i + 2], 'data', ARGV[i + 3]
    )
    appended = appended + 1
end
return appended
