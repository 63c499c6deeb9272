-- Takes or extends the lock on a credential unless somebody else holds it.
-- KEYS: credential. ARGV: owner, ttl in ms.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'owner', 'locked', 'revision', 'sealed')
local left = tonumber(kept[2] or '0') - now
if kept[1] and kept[1] ~= ARGV[1] and left > 0 then
  return {'BUSY', left}
end
local ttl = tonumber(ARGV[2])
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'locked', string.format('%.0f', now + ttl))
local lives = redis.call('PTTL', KEYS[1])
-- A lock on what was never saved is no reason to keep the key.
if not kept[3] or (lives >= 0 and lives < ttl) then
  redis.call('PEXPIRE', KEYS[1], ttl * 2)
end
return {'HELD', tonumber(kept[3] or '0'), kept[4] or ''}
