-- Keeps what an issuer gave, unless somebody else saved since, and gives the lock up.
-- KEYS: credential. ARGV: owner, revision that is replaced, sealed, life in ms or nothing.
local kept = redis.call('HMGET', KEYS[1], 'revision', 'sealed', 'owner')
local revision = tonumber(kept[1] or '0')
local replaced = tonumber(ARGV[2])
-- A repeated call finds its first one already done: the reply was lost.
local is_repeated = revision == replaced + 1 and kept[2] == ARGV[3]
if revision ~= replaced and not is_repeated then
  return 'OUTDATED'
end
if not is_repeated then
  redis.call('HSET', KEYS[1], 'revision', replaced + 1, 'sealed', ARGV[3])
end
if kept[3] == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'owner', 'locked')
end
if ARGV[4] == '' then
  redis.call('PERSIST', KEYS[1])
else
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 'SAVED'
