-- One commit: signals, versions, state, dead letters and acknowledgements, all or nothing.
--
-- Redis does not roll back, so everything that can be refused is looked at before the first
-- write: fence, sequence, room, and the type of every key. Memory, disk and replica errors are
-- raised at the first write and not after it.
--
-- KEYS: lease, state, versions, output stream, dead letters, queue of deliveries, dead deliveries,
-- bytes of the queue.
-- ARGV: the header below; then the entry's arguments with gaps, where the gaps are, what fills
-- them for each signal, and the arguments of the other writes in the order of their counts.
local call = redis.call
local epoch, owner, sequence, previous, ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_len, signals, fields, gaps = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local versions, gone, set, unset = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
local letters, letters_kept = tonumber(ARGV[14]), ARGV[15]
local buckets_from, buckets, moved_at_once = tonumber(ARGV[16]), ARGV[17], ARGV[18]
local acknowledged, deliveries_kept = tonumber(ARGV[19]), ARGV[20]
local at = 20

local state = call('HMGET', KEYS[2], 'epoch', 'owner', 'seq', 'nb')
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
local nb = tonumber(state[4] or '0')
local in_one_hash = call('HLEN', KEYS[3])
local length = call('XLEN', KEYS[4])
if max_len > 0 and signals > 0 and length + signals > max_len then
  return {'FULL', length}
end
if letters > 0 then
  call('XLEN', KEYS[5])
end
if acknowledged > 0 then
  call('XLEN', KEYS[6])
  call('XLEN', KEYS[7])
  call('GET', KEYS[8])
end
if redis.acl_check_cmd then
  local allowed = redis.acl_check_cmd('XADD', KEYS[4], '*', 'data', '')
    and redis.acl_check_cmd('XADD', KEYS[5], '*', 'data', '')
    and redis.acl_check_cmd('HSET', KEYS[2], 'seq', '')
    and redis.acl_check_cmd('HDEL', KEYS[2], 'seq')
    and redis.acl_check_cmd('HSET', KEYS[3], 'version', '')
    and redis.acl_check_cmd('HSET', KEYS[3] .. ':0', 'version', '')
    and redis.acl_check_cmd('HDEL', KEYS[3], 'version')
    and redis.acl_check_cmd('PEXPIRE', KEYS[1], ttl)
    and (acknowledged == 0 or redis.acl_check_cmd('XDEL', KEYS[6], '1-1')
      and redis.acl_check_cmd('XADD', KEYS[7], '*', 'data', '')
      and redis.acl_check_cmd('DECRBY', KEYS[8], '1'))
  if not allowed then
    return redis.error_reply('NOPERM a commit needs XADD, XDEL, HSET, HDEL, DECRBY and PEXPIRE on its keys')
  end
end

local template = at
at = at + (signals > 0 and fields + gaps or 0)
local first_version = at + signals * gaps + 1
local first_gone = first_version + versions
local place = {}
if nb > 0 then
  for i = first_version, first_gone - 1, 2 do
    place[i] = bucket(KEYS[3], nb, ARGV[i])
    call('HLEN', place[i])
  end
  for i = first_gone, first_gone + gone - 1 do
    place[i] = bucket(KEYS[3], nb, ARGV[i])
    call('HLEN', place[i])
  end
end

-- From here on everything is written. One table for all entries: only what differs between
-- signals is replaced.
local last
if signals > 0 then
  local entry = {'XADD', KEYS[4], '*'}
  for i = 1, fields do entry[3 + i] = ARGV[template + i] end
  local gap = {}
  for i = 1, gaps do gap[i] = 3 + tonumber(ARGV[template + fields + i]) end
  for _ = 1, signals do
    for i = 1, gaps do entry[gap[i]] = ARGV[at + i] end
    at = at + gaps
    last = call(unpack(entry))
  end
end

if nb == 0 then
  in_chunks('HSET', KEYS[3], ARGV, first_version, versions)
  in_chunks('HDEL', KEYS[3], ARGV, first_gone, gone)
else
  for i = first_version, first_gone - 1, 2 do
    call('HSET', place[i], ARGV[i], ARGV[i + 1])
    if in_one_hash > 0 then call('HDEL', KEYS[3], ARGV[i]) end
  end
  for i = first_gone, first_gone + gone - 1 do
    call('HDEL', place[i], ARGV[i])
    if in_one_hash > 0 then call('HDEL', KEYS[3], ARGV[i]) end
  end
end

at = first_gone + gone
in_chunks('HSET', KEYS[2], ARGV, at, set)
in_chunks('HDEL', KEYS[2], ARGV, at + set, unset)
at = at + set + unset
for _ = 1, letters do
  call('XADD', KEYS[5], 'MAXLEN', '~', letters_kept, '*', 'time', ARGV[at],
    'stream', ARGV[at + 1], 'reason', ARGV[at + 2], 'data', ARGV[at + 3])
  at = at + 4
end
local freed = 0
for _ = 1, acknowledged do
  local entry, reason = ARGV[at], ARGV[at + 3]
  if reason ~= '' then
    local found = call('XRANGE', KEYS[6], entry, entry)
    if found[1] then
      call('XADD', KEYS[7], 'MAXLEN', '~', deliveries_kept, '*', 'time', ARGV[at + 2],
        'reason', reason, 'attempts', ARGV[at + 4], unpack(found[1][2]))
    end
  end
  if call('XDEL', KEYS[6], entry) == 1 then freed = freed + tonumber(ARGV[at + 1]) end
  at = at + 5
end
if freed > 0 then
  if call('XLEN', KEYS[6]) == 0 then
    call('DEL', KEYS[8])
  else
    call('DECRBY', KEYS[8], string.format('%.0f', freed))
  end
end
if last then
  call('HSET', KEYS[2], 'seq', sequence, 'last', last)
else
  call('HSET', KEYS[2], 'seq', sequence)
end
if held then call('PEXPIRE', KEYS[1], ttl) end

-- A large hash moves to buckets a little with every commit, so that nobody waits for it.
if nb == 0 and in_one_hash > buckets_from then
  call('HSET', KEYS[2], 'nb', buckets)
elseif nb > 0 and in_one_hash > 0 then
  local page = call('HRANDFIELD', KEYS[3], moved_at_once, 'WITHVALUES')
  for i = 1, #page, 2 do
    -- Not `call`: an error here would say of an applied commit that it was refused.
    local moved = redis.pcall('HSET', bucket(KEYS[3], nb, page[i]), page[i], page[i + 1])
    if type(moved) ~= 'number' then break end
    call('HDEL', KEYS[3], page[i])
  end
end
return {'OK', held and 1 or 0}
