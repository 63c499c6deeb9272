-- Where versions are: in one hash, or from some size on in `nb` small ones, which Redis keeps in
-- 40 % of the memory. `nb` stands in the state and never changes. While the one hash is being
-- emptied a version is in exactly one of both places.
local function bucket(base, nb, field)
  return base .. ':' .. tonumber(string.sub(redis.sha1hex(field), 1, 8), 16) % nb
end

local function count_versions(base, nb)
  local count = redis.call('HLEN', base)
  for i = 0, nb - 1 do
    count = count + redis.call('HLEN', base .. ':' .. i)
  end
  return count
end

-- Lua cannot unpack arbitrarily many values at once.
local function in_chunks(command, key, values, from, count)
  local stop = from + count
  while from < stop do
    local upto = math.min(from + 1000, stop)
    redis.call(command, key, unpack(values, from, upto - 1))
    from = upto
  end
end
