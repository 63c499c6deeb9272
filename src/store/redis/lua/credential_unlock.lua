-- Gives the lock on a credential up. KEYS: credential. ARGV: owner.
if redis.call('HGET', KEYS[1], 'owner') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'owner', 'locked')
end
return 'UNLOCKED'
