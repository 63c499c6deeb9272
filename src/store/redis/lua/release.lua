-- Gives the lease up; late commits of this owner are fenced from here on.
-- KEYS: lease, state. ARGV: epoch, owner, channel.
local state = redis.call('HMGET', KEYS[2], 'epoch', 'owner')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then
  return 'FENCED'
end
local holder = redis.call('GET', KEYS[1])
redis.call('HSET', KEYS[2], 'owner', '')
if holder == ARGV[2] then
  redis.call('DEL', KEYS[1])
end
-- Without the right to publish standbys still find out when they next try.
redis.pcall('PUBLISH', ARGV[3], 'released')
return 'RELEASED'
