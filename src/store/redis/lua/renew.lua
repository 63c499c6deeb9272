-- Extends the lease key while it names this owner.
-- KEYS: lease, state. ARGV: epoch, owner, last applied sequence, ttl in ms.
local state = redis.call('HMGET', KEYS[2], 'epoch', 'owner', 'seq')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then
  return 'FENCED'
end
if tonumber(state[3] or '0') < tonumber(ARGV[3]) then
  return 'GAP'
end
if redis.call('GET', KEYS[1]) ~= ARGV[2] then
  return 'LOST'
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 'HELD'
