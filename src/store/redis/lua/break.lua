-- Removes a lease whoever holds it. The next acquisition fences the holder.
-- KEYS: lease. ARGV: channel.
local removed = redis.call('DEL', KEYS[1])
redis.pcall('PUBLISH', ARGV[1], 'broken')
return removed
