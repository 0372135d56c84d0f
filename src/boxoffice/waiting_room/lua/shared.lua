-- What every script of the queue shares: `queue_state.py` puts this text before each of them.
--
-- KEYS[1]     queue state (hash)
-- KEYS[2…17]  numbers, sharded by account (hashes): the last two bytes of the accounts to a bucket, which
--             is an entry after the other, and an entry is the 14 other bytes and the number in 5
--
-- Many entries share one field, so a number takes 19 to 37 bytes, where a field of its own takes 59. The
-- functions below take an entry for a number of its account wherever it stands in the bucket; of several
-- numbers, which a loss of Valkey can cause, the lowest counts.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

local REST, ENTRY = 14, 19
-- From so many numbers on, their hashes are tables; before, lists take half as much memory.
local TABLES_FROM = 2048

-- The state is of one process of the server and of one time as a master: `run_id` changes with every
-- start, `master_replid` with every promotion. A promoted replica may miss the last writes, also one that
-- was the master before, so every script of the queue compares both. It is also of one layout of the keys:
-- a release with another layout takes the state as lost, so two releases never issue numbers side by side.
local function state_owner()
    local process, reign = string.match(
        redis.call('INFO', 'server', 'replication'), 'run_id:(%w+).*master_replid:(%w+)')
    -- guard: shared_state_of_another_layout_is_lost => return process .. reign
    return process .. reign .. ':2'
end

-- A look-up of a function's name in a table costs a tenth of a join.
local sub, byte, find, call, keys = string.sub, string.byte, string.find, redis.call, KEYS

local function shard_of(field)
    local first = byte(field)
    return keys[2 + (first - first % 16) / 16]
end

-- The shard, field and rest of the account that begins at `at`. Random identifiers (UUID versions 4 and 7)
-- end in random bits, so the buckets grow alike.
local function address_of(accounts, at)
    local field = sub(accounts, at + REST, at + REST + 1)
    return shard_of(field), field, sub(accounts, at, at + REST - 1)
end

local function entry_at(bucket, rest, from)
    local at = find(bucket, rest, from, true)
    -- guard: shared_entry_begins_with_its_account => while false do
    while at and (at - 1) % ENTRY ~= 0 do
        at = find(bucket, rest, at + 1, true)
    end
    return at
end

-- The number of an account, or nil.
local function number_in(bucket, rest)
    local at, lowest = entry_at(bucket, rest, 1), nil
    -- guard: shared_lowest_number_counts => if at then
    while at do
        local number = struct.unpack('>I5', bucket, at + REST)
        -- no guard: The first number.
        lowest = math.min(lowest or number, number)
        at = entry_at(bucket, rest, at + ENTRY)
    end
    return lowest
end

local function with(bucket, rest, number)
    return bucket .. rest .. struct.pack('>I5', number)
end

-- The bucket is copied once: an account may have many recorded numbers.
local function without(bucket, rest)
    local kept, from = {}, 1
    local at = entry_at(bucket, rest, 1)
    -- guard: shared_every_number_is_removed => if at then
    while at do
        kept[#kept + 1] = sub(bucket, from, at - 1)
        from = at + ENTRY
        at = entry_at(bucket, rest, from)
    end
    kept[#kept + 1] = sub(bucket, from)
    return table.concat(kept)
end

local function bucket_of(shard, field)
    -- no guard: A missing bucket is empty.
    return call('HGET', shard, field) or ''
end

local function number_of(account)
    local shard, field, rest = address_of(account, 1)
    return number_in(bucket_of(shard, field), rest)
end

local function set_number(account, number)
    local shard, field, rest = address_of(account, 1)
    redis.call('HSET', shard, field, with(without(bucket_of(shard, field), rest), rest, number))
end

local function keep_bucket(shard, field, bucket)
    -- no guard: Saves the memory of an empty bucket.
    if bucket == '' then
        redis.call('HDEL', shard, field)
    else
        redis.call('HSET', shard, field, bucket)
    end
end

local function remove_number(account)
    local shard, field, rest = address_of(account, 1)
    keep_bucket(shard, field, without(bucket_of(shard, field), rest))
end

-- Valkey keeps a hash of up to 512 short values as a list, and a look-up reads half of it. A value of more
-- than 64 bytes makes a table of it, which it stays.
local function keep_as_tables()
    for shard = 2, 17 do
        redis.call('HSET', keys[shard], 'table', string.rep('.', 65))
        redis.call('HDEL', keys[shard], 'table')
    end
end
