#!lua flags=allow-oom
-- Say that a worker lives; with a lifetime of 0, that it has left. Forgets workers that fell silent, and sums up what
-- the live ones can do.
-- ARGV: worker, lifetime, models, places, throughput, this shard's part of it, names of the models...
local worker, lifetime, models, places, throughput, share = unpack(ARGV, 1, 6)
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now)
if tonumber(lifetime) == 0 then
  redis.call('ZREM', WORKERS, worker)
  redis.call('DEL', WORKER .. worker)
else
  redis.call('ZADD', WORKERS, now + lifetime, worker)
  redis.call('HSET', WORKER .. worker, 'models', models, 'places', places, 'throughput', throughput,
    'share', share, 'names', cmsgpack.pack({unpack(ARGV, 7)}))
  redis.call('PEXPIRE', WORKER .. worker, lifetime)
end

local all, workers_of, sum = {}, {}, {}
for _, other in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
  local known = redis.call('HMGET', WORKER .. other, 'names', 'throughput', 'share')
  for _, name in ipairs(known[1] and tonumber(known[2]) > 0 and cmsgpack.unpack(known[1]) or {}) do
    all[name] = (all[name] or 0) + known[3]
    sum[name] = (sum[name] or 0) + known[2]
    workers_of[name] = (workers_of[name] or 0) + 1
  end
end
redis.call('DEL', RATES)
for name, rate in pairs(all) do
  redis.call('HSET', RATES, 'all:' .. name, exact(rate), 'one:' .. name, exact(sum[name] / workers_of[name]))
end
return 1
