-- Appends deliveries whose id is new and for which there is room; the claim on the id and the
-- append are one step.
--
-- KEYS: queue, ids, bytes.
-- ARGV: now, first instant that is remembered, ids at most, deliveries at most, bytes at most, how
-- long the ids are kept, ids forgotten at once, channel, number of deliveries; then of each: claim,
-- id, received, head, body.
local call = redis.call
local now, oldest = ARGV[1], tonumber(ARGV[2])
local max_ids, max_queued, max_bytes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local kept, forgotten, channel, deliveries = ARGV[6], ARGV[7], ARGV[8], tonumber(ARGV[9])

local queued = call('XLEN', KEYS[1])
local known = call('ZCARD', KEYS[2])
local bytes = queued > 0 and tonumber(call('GET', KEYS[3]) or '0') or 0

local outcomes, added = {}, 0
for n = 1, deliveries do
  local at = 9 + (n - 1) * 5
  local claim, head, body = ARGV[at + 1], ARGV[at + 4], ARGV[at + 5]
  local score = call('ZSCORE', KEYS[2], claim)
  local size = #head + #body
  if score and tonumber(score) >= oldest then
    outcomes[n] = 'K'
  elseif queued + 1 > max_queued or (queued > 0 and bytes + size > max_bytes) then
    outcomes[n] = 'F'
  else
    call('XADD', KEYS[1], '*', 'id', ARGV[at + 2], 'received', ARGV[at + 3], 'head', head, 'body', body)
    call('ZADD', KEYS[2], now, claim)
    if not score then known = known + 1 end
    queued, bytes, added = queued + 1, bytes + size, added + 1
    outcomes[n] = 'Q'
  end
end

local evicted = 0
if added > 0 then
  call('SET', KEYS[3], string.format('%.0f', bytes))
  local old = call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[2], 'LIMIT', 0, forgotten)
  if #old > 0 then
    call('ZREM', KEYS[2], unpack(old))
    known = known - #old
  end
  if known > max_ids then
    evicted = call('ZREMRANGEBYRANK', KEYS[2], 0, known - max_ids - 1)
  end
  call('PEXPIRE', KEYS[2], kept)
  call('PUBLISH', channel, '')
end
return {table.concat(outcomes), evicted, queued, string.format('%.0f', bytes)}
