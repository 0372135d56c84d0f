-- Give each account its number in the line: the one that it has, or the next one.
--
-- KEYS[1]  the room
-- KEYS[2]  the places: account to number
-- ARGV[1…] the accounts, 16 bytes each; their number is bounded by the caller
--
-- Returns the epoch and a number per account, 0 where none is left to give before more are reserved; or
-- -1 alone where this server does not have the line as it was left: it has restarted, or was emptied.

local room = redis.call('HMGET', KEYS[1], 'run', 'epoch', 'joined', 'limit')
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
if room[1] ~= run then
    return { -1 }
end

local answer = { tonumber(room[2]) }
local joined, limit = tonumber(room[3]), tonumber(room[4])
local before = joined
for i = 1, #ARGV do
    local number = tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '0')
    if number == 0 and joined < limit then
        joined = joined + 1
        number = joined
        redis.call('HSET', KEYS[2], ARGV[i], number)
    end
    answer[i + 1] = number
end
if joined > before then
    redis.call('HSET', KEYS[1], 'joined', joined)
end
return answer
