#!lua flags=allow-oom
-- Say that a worker lives; with a lifetime of 0, that it has left. Forgets workers that fell silent, and sums up what
-- the live ones can do. What a model's worker last told of it is kept for edges that let the model sleep.
-- ARGV: worker, lifetime, models, places, throughput, this shard's part of it, ms of a step, names of the models...
local worker, lifetime, models, places, throughput, share, step = unpack(ARGV, 1, 7)
local now = now_ms()
redis.call('ZREMRANGEBYSCORE', WORKERS, '-inf', now)
if tonumber(lifetime) == 0 then
  redis.call('ZREM', WORKERS, worker)
  redis.call('DEL', WORKER .. worker)
else
  redis.call('ZADD', WORKERS, now + lifetime, worker)
  redis.call('HSET', WORKER .. worker, 'models', models, 'places', places, 'throughput', throughput,
    'share', share, 'step', step, 'names', cmsgpack.pack({unpack(ARGV, 8)}))
  redis.call('PEXPIRE', WORKER .. worker, lifetime)
  for _, name in ipairs({unpack(ARGV, 8)}) do
    if redis.call('HGET', LEDGER, 'served:' .. name) ~= models then
      redis.call('HSET', LEDGER, 'served:' .. name, models)
    end
  end
end

local all, workers_of, sum, steps = {}, {}, {}, {}
for _, other in ipairs(redis.call('ZRANGE', WORKERS, 0, -1)) do
  local known = redis.call('HMGET', WORKER .. other, 'names', 'throughput', 'share', 'step')
  for _, name in ipairs(known[1] and tonumber(known[2]) > 0 and cmsgpack.unpack(known[1]) or {}) do
    all[name] = (all[name] or 0) + known[3]
    sum[name] = (sum[name] or 0) + known[2]
    steps[name] = (steps[name] or 0) + known[4]
    workers_of[name] = (workers_of[name] or 0) + 1
  end
end
redis.call('DEL', RATES)
for name, rate in pairs(all) do
  redis.call('HSET', RATES, 'all:' .. name, exact(rate), 'one:' .. name, exact(sum[name] / workers_of[name]),
    'step:' .. name, exact(steps[name] / workers_of[name]))
end
-- Where all fall silent nobody sums up any more: what they could do is forgotten with the last one's registration.
local last = redis.call('ZRANGE', WORKERS, -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', RATES, last[2]) end
return 1
