#!lua
-- Queue a job whose payloads are stored already. A repeated submit changes nothing.
-- ARGV: id, client, model, priority, params, deadline, result lifetime, bytes, cost, weight, flow lifetime,
--       most jobs, most bytes
-- Answers {'queued', epoch}, {'full', jobs, running, pace} or {'missing'} (the payloads are gone).
local id, client, model, priority, params = unpack(ARGV, 1, 5)
local deadline, lifetime, size, cost, weight = ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local flow_lifetime, most_jobs, most_bytes = ARGV[11], tonumber(ARGV[12]), tonumber(ARGV[13])

if redis.call('EXISTS', JOB .. id) == 1 then
  return {'queued', redis.call('HGET', LEDGER, 'epoch')}
end
if redis.call('EXISTS', IMAGE .. id, MASK .. id) < 2 then
  return {'missing'}
end

local jobs = redis.call('HLEN', SIZES)
local bytes = tonumber(redis.call('HGET', LEDGER, 'bytes') or 0)
if jobs >= most_jobs or bytes + size > most_bytes then
  return {'full', jobs, redis.call('ZCARD', LEASES), redis.call('HGET', LEDGER, 'pace') or '0'}
end

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): start = max(clock, the flow's last finish);
-- finish = start + cost / weight. The clock is the start of the job last claimed. What starts at the same time
-- is ordered by arrival, so that newcomers, who all start at the clock, never overtake one another.
local flow = FLOW .. model .. ':' .. priority .. ':' .. client
local clock = tonumber(redis.call('HGET', LEDGER, 'clock:' .. model) or 0)
local start = math.max(clock, tonumber(redis.call('GET', flow) or 0))
local tag = start + redis.call('HINCRBY', LEDGER, 'arrivals', 1) * 1e-6
redis.call('SET', flow, string.format('%.17g', start + cost / weight), 'PX', flow_lifetime)

local now = now_ms()
redis.call('HSETNX', LEDGER, 'epoch', id)
redis.call('HSET', JOB .. id, 'client', client, 'model', model, 'params', params, 'status', 'queued',
  'created', now, 'queued_at', now, 'deadline', deadline, 'lifetime', lifetime,
  'start', string.format('%.17g', start), 'tag', string.format('%.17g', tag), 'attempts', 0, 'token', 0)
for _, key in ipairs({JOB .. id, IMAGE .. id, MASK .. id}) do
  redis.call('PEXPIREAT', key, deadline + lifetime)
end
redis.call('HSET', SIZES, id, size)
redis.call('HINCRBY', LEDGER, 'bytes', size)
redis.call('ZADD', DEADLINES, deadline, id)
redis.call('ZADD', READY .. model, string.format('%.17g', tag), id)
redis.call('PUBLISH', WAKE .. model, id)
return {'queued', redis.call('HGET', LEDGER, 'epoch')}
