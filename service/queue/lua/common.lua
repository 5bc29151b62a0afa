-- Put before every script. All times are the server's, in ms; `token` is the job's generation.
local LEDGER, SHARES, RATES, LEASES, DEADLINES, BACKLOG, WORKERS, DONE,
  READY, ALONE, WAITING, RUNNING, JOB, IMAGE, MASK, EVENTS, PREVIEW, RESULT,
  FLOW, KEY, WAKE, WORKER, CLAIMS = unpack(KEYS)
local MOST_EVENTS = 256 -- of a job; older ones are replaced by a snapshot for whoever missed them
local PREVIEW_LINGERS = 60000 -- ms after the end of its job

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function exact(number)
  return string.format('%.17g', number)
end

-- Whether the job is as the worker that was given `token` left it: 'running' while it still has the job.
local function holds(id, token, status)
  local job = redis.call('HMGET', JOB .. id, 'status', 'token')
  return job[1] == status and job[2] == token
end

-- Of a job that a worker works on: 1 while it has it, 0 where the job has ended, -1 where its lease was lost.
local function tenure(id, token)
  local job = redis.call('HMGET', JOB .. id, 'status', 'token')
  if job[1] ~= 'running' and job[1] ~= 'queued' then return 0 end
  return job[1] == 'running' and job[2] == token and 1 or -1
end

-- Tell an event of a job, and answer its id. They are 1, 2, 3...: a reader sees what is missing.
local function tell(id, kind, ...)
  local number = redis.call('HINCRBY', JOB .. id, 'events', 1)
  local job = redis.call('HMGET', JOB .. id, 'attempts', 'deadline', 'lifetime')
  redis.call('XADD', EVENTS .. id, 'MAXLEN', MOST_EVENTS, number .. '-0', 'kind', kind, 'attempt', job[1], ...)
  if number == 1 then redis.call('PEXPIREAT', EVENTS .. id, job[2] + job[3]) end
  return number
end

-- Keep a picture of what the job looks like beside its events, in place of the one before: however many come, they
-- push no event out. `event` is the one that it comes with.
local function show(id, event, picture)
  local job = redis.call('HMGET', JOB .. id, 'deadline', 'lifetime')
  redis.call('HSET', PREVIEW .. id, 'event', event, 'picture', picture)
  redis.call('PEXPIREAT', PREVIEW .. id, job[1] + job[2])
end

-- What the backlog keeps of a job that has not ended: bytes, cost, priority, model, client; nothing if it has, or if
-- another version wrote it.
local function entry_of(id)
  local entry = redis.call('HGET', BACKLOG, id)
  if not entry then return end
  local size, cost, priority, length, names = string.match(entry, '^(%d+) (%S+) (%S+) (%d+) (.+)$')
  if not size then return end
  return size, cost, priority, names:sub(1, length), names:sub(length + 2)
end

-- Note jobs and bytes more, or fewer, that a client has in the queue.
local function charge(client, jobs, bytes)
  if redis.call('HINCRBY', SHARES, 'jobs:' .. client, jobs) <= 0 then
    redis.call('HDEL', SHARES, 'jobs:' .. client, 'bytes:' .. client)
  else
    redis.call('HINCRBY', SHARES, 'bytes:' .. client, bytes)
  end
end

-- Put a job's cost into the sums of what waits or what runs. What waits is summed by priority, too.
local function add_cost(state, priority, model, cost)
  redis.call('HINCRBYFLOAT', LEDGER, state .. ':' .. model, cost)
  if state == 'waiting' then redis.call('HINCRBYFLOAT', LEDGER, 'ready:' .. priority .. ':' .. model, cost) end
end

-- Take it out again. With the last job of its priority, or of its model, the sum by priority is gone: of jobs that a
-- version without it queued, it knew nothing.
local function subtract_cost(state, priority, model, cost)
  add_cost(state, priority, model, '-' .. cost)
  if redis.call('EXISTS', WAITING .. priority) == 0 or redis.call('EXISTS', READY .. model, ALONE .. model) == 0 then
    redis.call('HDEL', LEDGER, 'ready:' .. priority .. ':' .. model)
  end
end

-- Move a job between the lists of what waits and what runs.
local function count_as(id, from, to)
  local _, cost, priority, model = entry_of(id)
  if not cost then return end
  local lists = {waiting = WAITING, running = RUNNING}
  redis.call('ZREM', lists[from] .. priority, id)
  redis.call('ZADD', lists[to] .. priority, redis.call('HGET', JOB .. id, 'created'), id)
  subtract_cost(from, priority, model, cost)
  add_cost(to, priority, model, cost)
end

-- Drop a job's input and its place in every list. The input goes first: a full server has room again.
local function forget(id)
  redis.call('DEL', IMAGE .. id, MASK .. id)
  local ran = redis.call('ZREM', LEASES, id) == 1
  redis.call('ZREM', DEADLINES, id)
  local size, cost, priority, model, client = entry_of(id)
  redis.call('HDEL', BACKLOG, id)
  if not size then return end
  redis.call('ZREM', READY .. model, id)
  redis.call('ZREM', ALONE .. model, id)
  redis.call('ZREM', (ran and RUNNING or WAITING) .. priority, id)
  redis.call('HINCRBY', LEDGER, 'bytes', -size)
  charge(client, -1, -size)
  subtract_cost(ran and 'running' or 'waiting', priority, model, cost)
end

-- End a job, for good: its status, the lifetime of what is left of it, and the news to whoever waits.
local function settle(id, status)
  forget(id)
  redis.call('HSET', JOB .. id, 'status', status)
  tell(id, status)
  local lifetime = redis.call('HGET', JOB .. id, 'lifetime')
  redis.call('PEXPIRE', JOB .. id, lifetime)
  redis.call('PEXPIRE', EVENTS .. id, lifetime)
  redis.call('PEXPIRE', PREVIEW .. id, math.min(lifetime, PREVIEW_LINGERS))
  redis.call('PUBLISH', DONE, id)
end

-- A job that never ran costs its client nothing in the fair order.
local function refund(id)
  local job = redis.call('HMGET', JOB .. id, 'status', 'attempts', 'model', 'priority', 'client', 'toll')
  if job[1] ~= 'queued' or job[2] ~= '0' then return end
  local flow = FLOW .. job[3] .. ':' .. job[4] .. ':' .. job[5]
  local reached = redis.call('GET', flow)
  if reached then redis.call('SET', flow, exact(reached - job[6]), 'KEEPTTL') end
end

-- End a job against its worker's will: the new generation makes a late finish void.
local function revoke(id, status)
  refund(id)
  redis.call('HINCRBY', JOB .. id, 'token', 1)
  settle(id, status)
end

-- Back to its old place in the order; the last attempt is made with no neighbour.
local function requeue(id, most_attempts)
  local job = redis.call('HMGET', JOB .. id, 'model', 'tag', 'attempts')
  local list = job[3] + 1 >= tonumber(most_attempts) and ALONE or READY
  redis.call('HSET', JOB .. id, 'status', 'queued', 'queued_at', now_ms(), 'step', 0)
  redis.call('HDEL', JOB .. id, 'drainer', 'drain_until')
  redis.call('DEL', PREVIEW .. id)
  redis.call('ZREM', LEASES, id)
  redis.call('ZADD', list .. job[1], job[2], id)
  count_as(id, 'running', 'waiting')
  tell(id, 'queued')
  redis.call('PUBLISH', WAKE .. job[1], id)
end
