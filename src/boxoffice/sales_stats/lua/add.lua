-- Adds one worker's counters to the shared ones and extends their expiry.
--
-- KEYS[1]  the hash of counters, boxoffice:sales_stats:{scope}:<number>
-- ARGV[1]  time to live in milliseconds
-- ARGV[2…] pairs of counter name and increment

for at = 2, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return #ARGV
