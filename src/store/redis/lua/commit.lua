-- One commit: signals, versions, state and dead letters, all or nothing.
--
-- Redis does not roll back, so everything that can be refused is looked at before the first
-- write: fence, sequence, room, and the type of every key. Memory, disk and replica errors are
-- raised at the first write and not after it.
--
-- KEYS: lease, state, versions, output stream, dead letters.
-- ARGV: the header below; then the entry's arguments with gaps, where the gaps are, what fills
-- them for each signal, and the arguments of the other writes in the order of their counts.
local call = redis.call
local epoch, owner, sequence, previous, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_len, signals, fields, gaps = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local versions, gone, set, unset = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local letters, letters_kept = tonumber(ARGV[14]), ARGV[15]
local at = 15

local state = call('HMGET', KEYS[2], 'epoch', 'owner', 'seq')
if state[1] ~= epoch or state[2] ~= owner then
  return {'FENCED'}
end
local held = call('GET', KEYS[1]) == owner
local stored = state[3] or '0'
if stored == sequence then
  if held then call('PEXPIRE', KEYS[1], ttl) end
  return {'DUP', held and 1 or 0}
end
if stored ~= previous then
  return {'GAP', stored}
end
call('HLEN', KEYS[3])
local length = call('XLEN', KEYS[4])
if max_len > 0 and signals > 0 and length + signals > max_len then
  return {'FULL', length}
end
if letters > 0 then
  call('XLEN', KEYS[5])
end
if redis.acl_check_cmd then
  local allowed = redis.acl_check_cmd('XADD', KEYS[4], '*', 'data', '')
    and redis.acl_check_cmd('XADD', KEYS[5], '*', 'data', '')
    and redis.acl_check_cmd('HSET', KEYS[2], 'seq', '')
    and redis.acl_check_cmd('HDEL', KEYS[2], 'seq')
    and redis.acl_check_cmd('HSET', KEYS[3], 'version', '')
    and redis.acl_check_cmd('HDEL', KEYS[3], 'version')
    and redis.acl_check_cmd('PEXPIRE', KEYS[1], ttl)
  if not allowed then
    return redis.error_reply('NOPERM a commit needs XADD, HSET, HDEL and PEXPIRE on its keys')
  end
end

-- One table for all entries: only what differs between signals is replaced.
local last
if signals > 0 then
  local entry = {'XADD', KEYS[4], '*'}
  for i = 1, fields do entry[3 + i] = ARGV[at + i] end
  at = at + fields
  local gap = {}
  for i = 1, gaps do gap[i] = 3 + tonumber(ARGV[at + i]) end
  at = at + gaps
  for _ = 1, signals do
    for i = 1, gaps do entry[gap[i]] = ARGV[at + i] end
    at = at + gaps
    last = call(unpack(entry))
  end
end

-- Lua cannot unpack arbitrarily many values at once.
local function in_chunks(command, key, count)
  local stop = at + count
  while at < stop do
    local upto = math.min(at + 1000, stop)
    call(command, key, unpack(ARGV, at + 1, upto))
    at = upto
  end
end
in_chunks('HSET', KEYS[3], versions)
in_chunks('HDEL', KEYS[3], gone)
in_chunks('HSET', KEYS[2], set)
in_chunks('HDEL', KEYS[2], unset)
for _ = 1, letters do
  call('XADD', KEYS[5], 'MAXLEN', '~', letters_kept, '*', 'time', ARGV[at + 1],
    'stream', ARGV[at + 2], 'reason', ARGV[at + 3], 'data', ARGV[at + 4])
  at = at + 4
end
if last then
  call('HSET', KEYS[2], 'seq', sequence, 'last', last)
else
  call('HSET', KEYS[2], 'seq', sequence)
end
if held then call('PEXPIRE', KEYS[1], ttl) end
return {'OK', held and 1 or 0}
