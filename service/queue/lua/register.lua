#!lua flags=allow-oom
-- Say that a worker lives; with a lifetime of 0, that it has left. Forgets workers that fell silent.
-- ARGV: worker, lifetime, models, places
local worker, lifetime, models, places = unpack(ARGV)
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now)
if tonumber(lifetime) == 0 then
  redis.call('ZREM', WORKERS, worker)
  redis.call('DEL', WORKER .. worker)
else
  redis.call('ZADD', WORKERS, now + lifetime, worker)
  redis.call('HSET', WORKER .. worker, 'models', models, 'places', places)
  redis.call('PEXPIRE', WORKER .. worker, lifetime)
end
return 1
