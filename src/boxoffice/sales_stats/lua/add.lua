-- Adds one worker's counters to everybody's, and lets them go when nobody can want them any more.
--
-- KEYS[1]  the hash of counters, boxoffice:figures:{scope}:<number>
-- ARGV[1]  after how many milliseconds it may go
-- ARGV[2…] pairs of a counter's name and what is to be added

for at = 2, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return #ARGV
