-- Forgets versions and state fields, fenced. Epoch, owner and sequence stay.
-- KEYS: lease, state, versions. ARGV: epoch, owner, ttl in ms, how many version fields follow
-- ('*': all of them), the version fields, the state fields.
local state = redis.call('HMGET', KEYS[2], 'epoch', 'owner', 'nb')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then
  return {'FENCED'}
end
local held = redis.call('GET', KEYS[1]) == ARGV[2]
local nb = tonumber(state[3] or '0')
redis.call('HLEN', KEYS[3])
local at = 5
if ARGV[4] == '*' then
  redis.call('UNLINK', KEYS[3])
  for i = 0, nb - 1 do
    redis.call('UNLINK', KEYS[3] .. ':' .. i)
  end
  redis.call('HDEL', KEYS[2], 'nb')
else
  local count = tonumber(ARGV[4])
  in_chunks('HDEL', KEYS[3], ARGV, at, count)
  if nb > 0 then
    for i = at, at + count - 1 do
      redis.call('HDEL', bucket(KEYS[3], nb, ARGV[i]), ARGV[i])
    end
  end
  at = at + count
end
in_chunks('HDEL', KEYS[2], ARGV, at, #ARGV - at + 1)
if held then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return {'OK', held and 1 or 0}
