-- The state without any lease.
-- KEYS: state, versions.
local nb = tonumber(redis.call('HGET', KEYS[1], 'nb') or '0')
return {count_versions(KEYS[2], nb), redis.call('HGETALL', KEYS[1])}
