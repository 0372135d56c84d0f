-- Rebuild lost queue state from PostgreSQL, in parts; the last part makes it usable.
--
-- KEYS[1…25] as in enter.lua
-- ARGV[1]  fencing token of the leader
-- ARGV[2]  epoch
-- ARGV[3]  part: first, next or last
-- ARGV[4]  the highest number that may have been issued; the next join gets the one after it
-- ARGV[5]  numbers may be issued up to this one
-- ARGV[6]  called
-- ARGV[7]  size of the draw; 0 before the draw
-- ARGV[8]  now in ms
-- ARGV[9]  grace in ms
-- ARGV[10] lifetime in ms of a queue without a leader
-- ARGV[11] n, the count of admissions that follow
-- ARGV[12…] three per admission: account, number, value of KEYS[19]; then ranges of vacant places,
--          "first-last". The caller bounds their count and length.
--
-- Returns 0, -1 when the server has lost the first part, or -2 after a later leader.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- no guard: A missing queue has had no leader.
local fence = tonumber(redis.call('HGET', KEYS[1], 'token') or '0')
-- guard: rebuild_no_earlier_leader => if false then
if tonumber(ARGV[1]) < fence then
    return -2
end
local owner = state_owner()
local building = ARGV[2] .. ':' .. owner
-- guard: rebuild_only_first_part_begins => if true then
-- guard: rebuild_first_part_begins => if false then
if ARGV[3] == 'first' then
    -- guard: rebuild_of_old_queue_nothing_is_left
    redis.call('UNLINK', unpack(KEYS))
    -- guard: rebuild_fenced_by_leader_token: ARGV[1] => '0'
    redis.call('HSET', KEYS[1], 'token', ARGV[1], 'building', building)
-- guard: rebuild_what_was_lost_meanwhile_is_no_queue => elseif false then
elseif redis.call('HGET', KEYS[1], 'building') ~= building then
    return -1
end

local insiders, admissions, vacant = KEYS[18], KEYS[19], KEYS[23]
local now, grace_ms = tonumber(ARGV[8]), tonumber(ARGV[9])
local people_to = 11 + 3 * tonumber(ARGV[11])
for i = 12, people_to, 3 do
    -- guard: rebuild_presence_ends_with_the_stay => redis.call('ZADD', insiders, now + grace_ms, ARGV[i])
    redis.call('ZADD', insiders, math.min(now + grace_ms, tonumber(string.match(ARGV[i + 2], '%d+'))), ARGV[i])
    redis.call('HSET', admissions, ARGV[i], ARGV[i + 2])
    set_number(ARGV[i], tonumber(ARGV[i + 1]))
end
for i = people_to + 1, #ARGV do
    local first, last = string.match(ARGV[i], '(%d+)-(%d+)')
    for place = tonumber(first), tonumber(last) do
        redis.call('SETBIT', vacant, place, 1)
    end
end

-- guard: rebuild_queue_is_there_with_its_last_part => if true then
if ARGV[3] == 'last' then
    redis.call('HDEL', KEYS[1], 'building')
    redis.call(
        'HSET', KEYS[1], 'run', owner, 'epoch', ARGV[2], 'joined', ARGV[4], 'limit', ARGV[5],
        'called', ARGV[6], 'drawn', ARGV[7], 'now', now, 'pending', 0, 'open', 0, 'cap', 0,
        'inside_ms', 1, 'grace_ms', grace_ms, 'inside', redis.call('ZCARD', insiders), 'summary', ':',
        'released', 0)
end
for i = 1, #KEYS do
    redis.call('PEXPIRE', KEYS[i], ARGV[10])
end
return 0
