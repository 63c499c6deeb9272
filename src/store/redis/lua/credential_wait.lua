-- Lets everybody wait with a credential; a longer wait stays.
-- KEYS: wait. ARGV: ms.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], '1', 'PX', ARGV[1])
end
return 'OK'
