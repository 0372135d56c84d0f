-- What every script of readings in turns shares: `reading_turns.py` puts this text before each of them.
--
-- KEYS  1 what is published, 2 the turn
-- ARGV  1 the token of this process for its turn
--       of a script that takes
--       2 how old what is published may be, in milliseconds
--       3 how long a turn lasts, in milliseconds; 0 where none is wanted
--       4 the time to live of both keys when a turn begins, in milliseconds
--
-- The turn's key is set when the turn begins, and what is published ends when its turn's key would have:
-- the rest of the time to live says how long ago the reading began, by this server's clock alone. A process
-- that was paused publishes nothing: a later turn has another token, and a published one none.
--
-- `-- guard:` and `-- no guard:` lines mark mutations for the tests (CONTRIBUTING); skip them when reading.

-- The time since the turn of a key began; of a missing key more than its time to live.
local function age_ms_of(key)
  return tonumber(ARGV[4]) - redis.call('PTTL', key)
end

-- The age of what is published, or nil where it is too old or missing.
local function published_age_ms()
  local age_ms = age_ms_of(KEYS[1])
  -- guard: turns_published_of_that_age: age_ms <= tonumber(ARGV[2]) => true
  -- guard: turns_published_not_in_the_future: age_ms >= 0 and =>
  if age_ms >= 0 and age_ms <= tonumber(ARGV[2]) then
    return age_ms
  end
end

-- Returns 1 for the turn; 0 while another process has it, and where none is wanted.
local function take_turn()
  local lasts_ms, age_ms = tonumber(ARGV[3]), age_ms_of(KEYS[2])
  -- guard: turns_one_at_a_time => if lasts_ms == 0 then
  -- guard: turns_end: age_ms < lasts_ms => age_ms < tonumber(ARGV[4])
  -- guard: turns_begin_not_in_the_future: age_ms >= 0 and =>
  -- guard: turns_only_where_wanted: lasts_ms == 0 or =>
  if lasts_ms == 0 or (age_ms >= 0 and age_ms < lasts_ms) then
    return 0
  end
  -- guard: turns_have_their_token: ARGV[1] => ''
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
  return 1
end

-- Publish with the given command, which sets KEYS[1]. Returns 0 where the turn is gone, else 1.
local function publish_in_turn(...)
  -- guard: turns_publish_in_them => if false then
  if redis.call('GET', KEYS[2]) ~= ARGV[1] then
    return 0
  end
  -- guard: turns_published_as_old_as_they => local left_ms = 60000
  local left_ms = redis.call('PTTL', KEYS[2])
  redis.call(...)
  redis.call('PEXPIRE', KEYS[1], left_ms)
  -- guard: turns_end_with_their_publication
  redis.call('DEL', KEYS[2])
  return 1
end

