-- Takes a turn of the rate that all processes with a credential share; see `store/rate.rs`.
-- KEYS: rate. ARGV: process; in microseconds cost, ahead, backlog, how long one that is alone need
-- not ask, how long one is remembered, longest backlog.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local process, cost, ahead = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local alone, remembered, longest = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local full, holder, processes = 0, '', 1
local kept = redis.call('HGETALL', KEYS[1])
for at = 1, #kept, 2 do
  local field, value = kept[at], kept[at + 1]
  if field == 'full' then
    full = tonumber(value)
  elseif field == 'holder' then
    holder = value
  elseif field ~= 'by:' .. process then
    if math.abs(now - tonumber(value)) < remembered then
      processes = processes + 1
    else
      redis.call('HDEL', KEYS[1], field)
    end
  end
end
if holder == process then
  full = now + tonumber(ARGV[4])
end
if full - now > math.max(longest, 2 * (cost + ahead)) then
  full = now
end
local taken = math.max(now, full)
full = taken + cost
if processes == 1 then
  holder = process
  full = math.max(full, now + alone + ahead + cost)
else
  holder, alone = '', 0
end
redis.call('HSET', KEYS[1], 'full', string.format('%.0f', full), 'holder', holder,
  'by:' .. process, string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(full - now, remembered) / 1000))
return {'TURN', taken - now, alone, processes}
