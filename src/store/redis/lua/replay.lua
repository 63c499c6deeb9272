-- Puts dead deliveries back into the queue.
--
-- KEYS: dead deliveries, queue, bytes. ARGV: channel; then entries.
local call = redis.call
call('XLEN', KEYS[2])
local moved = 0
for n = 2, #ARGV do
  local found = call('XRANGE', KEYS[1], ARGV[n], ARGV[n])
  if found[1] then
    local entry, size = {'XADD', KEYS[2], '*'}, 0
    local fields = found[1][2]
    for i = 1, #fields, 2 do
      local name = fields[i]
      if name == 'id' or name == 'received' or name == 'head' or name == 'body' then
        entry[#entry + 1] = name
        entry[#entry + 1] = fields[i + 1]
        if name == 'head' or name == 'body' then size = size + #fields[i + 1] end
      end
    end
    call(unpack(entry))
    call('INCRBY', KEYS[3], size)
    call('XDEL', KEYS[1], ARGV[n])
    moved = moved + 1
  end
end
if moved > 0 then call('PUBLISH', ARGV[1], '') end
return moved
