-- Moves some versions from the one hash to the small ones: a little with every commit, so that
-- nobody waits for it.
-- KEYS: versions. ARGV: number of small hashes, how many versions to move.
local page = redis.call('HRANDFIELD', KEYS[1], ARGV[2], 'WITHVALUES')
for i = 1, #page, 2 do
  redis.call('HSET', bucket(KEYS[1], tonumber(ARGV[1]), page[i]), page[i], page[i + 1])
  redis.call('HDEL', KEYS[1], page[i])
end
