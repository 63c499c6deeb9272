-- Removes entries that every consumer group has read and acknowledged; none without a group.
-- One call removes a bounded number, so that others are not kept waiting.
-- KEYS: stream. ARGV: how many at most, about.
-- Answers: length, groups, removed.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return {0, 0, 0}
end
local length = redis.call('XLEN', KEYS[1])

local function parts(id)
  return string.match(id, '^(%d+)-(%d+)$')
end
-- Ids have two 64-bit halves, more than a Lua number holds: compared as digits.
local function smaller(a, b)
  if #a ~= #b then return #a < #b end
  return a < b
end
local function before(a, b)
  local a_time, a_count = parts(a)
  local b_time, b_count = parts(b)
  if a_time ~= b_time then return smaller(a_time, b_time) end
  return smaller(a_count, b_count)
end
local function successor(id)
  local time, count = parts(id)
  local number = tonumber(count)
  -- Beyond what a number holds exactly the entry itself is kept.
  if number >= 9007199254740991 then return id end
  return string.format('%s-%.0f', time, number + 1)
end

local groups = redis.call('XINFO', 'GROUPS', KEYS[1])
local keep_from
for _, group in ipairs(groups) do
  local named = {}
  for i = 1, #group, 2 do named[group[i]] = group[i + 1] end
  local first = successor(named['last-delivered-id'])
  if named['pending'] > 0 then
    local oldest = redis.call('XPENDING', KEYS[1], named['name'])[2]
    if oldest and before(oldest, first) then first = oldest end
  end
  if not keep_from or before(first, keep_from) then keep_from = first end
end
if not keep_from then
  return {length, 0, 0}
end
-- Whole nodes first, which is cheap; what is left is less than one node.
local removed = redis.call('XTRIM', KEYS[1], 'MINID', '~', keep_from, 'LIMIT', ARGV[1])
if removed == 0 then
  removed = redis.call('XTRIM', KEYS[1], 'MINID', '=', keep_from)
end
return {length - removed, #groups, removed}
