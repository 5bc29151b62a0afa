#!lua
-- Queue a job whose payloads are stored already. A repeated submit changes nothing.
-- ARGV: id, client, model, priority, params, deadline, result lifetime, bytes, cost, places, steps, weight,
--       flow lifetime, most jobs, most bytes, the part of both that one client may have, most of the server's
--       memory, idempotency key or '', fingerprint, traceparent or '', tracestate or ''
-- Answers {'queued', epoch, id}, {'known', epoch, id of the key's job}, {'conflict'},
-- {'full', 'jobs' or 'bytes' or 'share' or 'memory', ms until a tenth of the work is done},
-- {'late', ms that are missing, ms that the job itself takes} or {'missing'} (the payloads are gone).
local id, client, model, priority, params = unpack(ARGV, 1, 5)
local deadline, lifetime, size, cost, places, steps, weight = unpack(ARGV, 6, 12)
local flow_lifetime, most_jobs, most_bytes, most_of_client, most_memory, key, fingerprint = unpack(ARGV, 13, 19)
local traceparent, tracestate = unpack(ARGV, 20, 21)

if redis.call('EXISTS', JOB .. id) == 1 then
  -- Where the job has ended already, the repeated submit has stored pictures that nobody will read.
  if redis.call('HEXISTS', BACKLOG, id) == 0 then redis.call('DEL', IMAGE .. id, MASK .. id) end
  return {'queued', redis.call('HGET', LEDGER, 'epoch'), id}
end
-- With the length, as both may hold colons: no client's key is another one's.
local key_of_client = KEY .. #client .. ':' .. client .. ':' .. key
if key ~= '' then
  local known = redis.call('HMGET', key_of_client, 'job', 'fingerprint')
  local status = known[1] and redis.call('HGET', JOB .. known[1], 'status')
  -- What was cancelled, or lost through no fault of the request, is done anew when it is asked for again.
  if status and status ~= 'cancelled' and status ~= 'expired' and status ~= 'dead_lettered' then
    if known[2] ~= fingerprint then return {'conflict'} end
    return {'known', redis.call('HGET', LEDGER, 'epoch'), known[1]}
  end
end
if redis.call('EXISTS', IMAGE .. id, MASK .. id) < 2 then
  return {'missing'}
end

local function ledger(field)
  return tonumber(redis.call('HGET', LEDGER, field) or 0)
end
local rates = redis.call('HMGET', RATES, 'all:' .. model, 'one:' .. model, 'step:' .. model)
local rate, rate_of_one, step_ms = tonumber(rates[1] or 0), tonumber(rates[2] or 0), tonumber(rates[3] or 0)
local waiting, running = ledger('waiting:' .. model), ledger('running:' .. model)

local function memory_is_short()
  local info = redis.call('INFO', 'memory')
  local used, most = tonumber(info:match('used_memory:(%d+)')), tonumber(info:match('maxmemory:(%d+)'))
  return most > 0 and used > most * most_memory
end

local function bound_that_is_met()
  if redis.call('HLEN', BACKLOG) >= tonumber(most_jobs) then return 'jobs' end
  if ledger('bytes') + size > tonumber(most_bytes) then return 'bytes' end
  local jobs_of_client = tonumber(redis.call('HGET', SHARES, 'jobs:' .. client) or 0)
  local bytes_of_client = tonumber(redis.call('HGET', SHARES, 'bytes:' .. client) or 0)
  if jobs_of_client >= most_jobs * most_of_client or bytes_of_client + size > most_bytes * most_of_client then
    return 'share'
  end
  return memory_is_short() and 'memory'
end

local bound = bound_that_is_met()
if bound then
  return {'full', bound, math.ceil(rate > 0 and (waiting + running) / 10 / rate * 1000 or 1000)}
end

-- Start-time fair queueing (Goyal, Vin, Cheng 1996): start = max(clock, the flow's last finish);
-- finish = start + cost / weight. The clock is the start of the job last claimed. What starts at the same time
-- is ordered by arrival, so that newcomers, who all start at the clock, never overtake one another.
local now = now_ms()
local flow = FLOW .. model .. ':' .. priority .. ':' .. client
local start = math.max(ledger('clock:' .. model), tonumber(redis.call('GET', flow) or 0))
local tag = start + (ledger('arrivals') + 1) * 1e-6

-- Only what is before the job in the fair order delays it. What runs is half done in the mean. Its own time is its
-- share of a full batch, but no less than that of its steps, however empty the batch is.
if rate > 0 then
  local before = redis.call('ZCOUNT', READY .. model, '-inf', exact(tag))
  local mean = waiting / math.max(1, redis.call('ZCARD', READY .. model))
  local wait = (before * mean + running / 2) / rate * 1000
  local own = math.max(cost / rate_of_one * 1000, steps * step_ms)
  local missing = math.ceil(now + wait + own - deadline)
  if missing > 0 then return {'late', missing, math.ceil(own)} end
end

redis.call('HINCRBY', LEDGER, 'arrivals', 1)
redis.call('SET', flow, exact(start + cost / weight), 'PX', flow_lifetime)
redis.call('HSETNX', LEDGER, 'epoch', id)
redis.call('HSET', JOB .. id, 'client', client, 'model', model, 'priority', priority, 'params', params,
  'toll', exact(cost / weight), 'status', 'queued',
  'created', now, 'queued_at', now, 'deadline', deadline, 'lifetime', lifetime, 'places', places,
  'step', 0, 'steps', steps, 'start', exact(start), 'tag', exact(tag), 'attempts', 0, 'token', 0)
if traceparent ~= '' then
  redis.call('HSET', JOB .. id, 'traceparent', traceparent, 'tracestate', tracestate)
end
for _, name in ipairs({JOB .. id, IMAGE .. id, MASK .. id}) do
  redis.call('PEXPIREAT', name, deadline + lifetime)
end
if key ~= '' then
  redis.call('HSET', key_of_client, 'job', id, 'fingerprint', fingerprint)
  redis.call('PEXPIREAT', key_of_client, deadline + lifetime)
end
redis.call('HSET', BACKLOG, id, table.concat({size, cost, priority, #model, model, client}, ' '))
charge(client, 1, size)
redis.call('HINCRBY', LEDGER, 'bytes', size)
add_cost('waiting', priority, model, cost)
redis.call('ZADD', WAITING .. priority, now, id)
redis.call('ZADD', DEADLINES, deadline, id)
redis.call('ZADD', READY .. model, exact(tag), id)
tell(id, 'queued')
redis.call('PUBLISH', WAKE .. model, id)
return {'queued', redis.call('HGET', LEDGER, 'epoch'), id}
