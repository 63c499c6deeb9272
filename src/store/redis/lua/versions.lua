-- The versions of these fields, in their order.
-- KEYS: state, versions. ARGV: fields.
local nb = tonumber(redis.call('HGET', KEYS[1], 'nb') or '0')
if nb == 0 then
  return redis.call('HMGET', KEYS[2], unpack(ARGV))
end
local found = {}
for i, field in ipairs(ARGV) do
  found[i] = redis.call('HGET', bucket(KEYS[2], nb, field), field)
    or redis.call('HGET', KEYS[2], field)
end
return found
