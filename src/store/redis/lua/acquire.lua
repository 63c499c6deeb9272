-- Takes the lease unless somebody else holds it; a taken lease raises the epoch.
-- KEYS: lease, state, versions. ARGV: owner, previous owner, ttl in ms, schema.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] and holder ~= ARGV[2] then
  return {'BUSY', holder, redis.call('PTTL', KEYS[1])}
end
local state = redis.call('HMGET', KEYS[2], 'schema', 'owner', 'nb')
if state[1] and state[1] ~= ARGV[4] then
  return {'SCHEMA', state[1]}
end
local versions = count_versions(KEYS[3], tonumber(state[3] or '0'))
-- A repeated call of the holder finds its first one already done: the reply was lost.
if not (holder == ARGV[1] and state[2] == ARGV[1]) then
  redis.call('HINCRBY', KEYS[2], 'epoch', 1)
  redis.call('HSET', KEYS[2], 'schema', ARGV[4], 'owner', ARGV[1])
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return {'HELD', versions, redis.call('HGETALL', KEYS[2])}
