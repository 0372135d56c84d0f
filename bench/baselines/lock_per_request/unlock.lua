-- Release a lock if its token is still ours: compare and delete.
-- KEYS[1] the lock; ARGV[1] the owner's token. Returns 1 where it was ours.
if redis.call('GET', KEYS[1]) == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
