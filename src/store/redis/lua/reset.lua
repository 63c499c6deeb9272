-- Forgets versions and state fields, fenced. Epoch, owner and sequence stay.
-- KEYS: lease, state, versions. ARGV: epoch, owner, ttl in ms, how many version fields follow
-- ('*': all of them), the version fields, the state fields.
local state = redis.call('HMGET', KEYS[2], 'epoch', 'owner')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then
  return {'FENCED'}
end
local held = redis.call('GET', KEYS[1]) == ARGV[2]
redis.call('HLEN', KEYS[3])
local at = 5
if ARGV[4] == '*' then
  redis.call('UNLINK', KEYS[3])
else
  local stop = at + tonumber(ARGV[4])
  while at < stop do
    local upto = math.min(at + 1000, stop)
    redis.call('HDEL', KEYS[3], unpack(ARGV, at, upto - 1))
    at = upto
  end
end
while at <= #ARGV do
  local upto = math.min(at + 1000, #ARGV + 1)
  redis.call('HDEL', KEYS[2], unpack(ARGV, at, upto - 1))
  at = upto
end
if held then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return {'OK', held and 1 or 0}
