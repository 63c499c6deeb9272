-- Takes deliveries off the queue. Those that failed go to the dead ones.
-- KEYS: queue, dead deliveries, bytes of the queue. ARGV: how many dead ones are kept; then entry,
-- bytes, time, reason and attempts of each; no reason for one that did not fail.
local call = redis.call
local freed = 0
for at = 2, #ARGV, 5 do
  local entry, reason = ARGV[at], ARGV[at + 3]
  if reason ~= '' then
    local found = call('XRANGE', KEYS[1], entry, entry)
    if found[1] then
      call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', 'time', ARGV[at + 2],
        'reason', reason, 'attempts', ARGV[at + 4], unpack(found[1][2]))
    end
  end
  if call('XDEL', KEYS[1], entry) == 1 then freed = freed + tonumber(ARGV[at + 1]) end
end
if freed > 0 then
  if call('XLEN', KEYS[1]) == 0 then
    call('DEL', KEYS[3])
  else
    call('DECRBY', KEYS[3], string.format('%.0f', freed))
  end
end
