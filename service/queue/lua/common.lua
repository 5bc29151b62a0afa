-- Put before every script. All times are the server's, in ms; `token` is the job's generation.
local LEDGER, LEASES, DEADLINES, SIZES, WORKERS, DONE,
  READY, JOB, IMAGE, MASK, RESULT, FLOW, WAKE, WORKER = unpack(KEYS)

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whether the job is as the worker that was given `token` left it: 'running' while it still has the job.
local function holds(id, token, status)
  local job = redis.call('HMGET', JOB .. id, 'status', 'token')
  return job[1] == status and job[2] == token
end

-- Drop a job's input and its place in every list. The input goes first: a full server has room again.
local function forget(id, model)
  redis.call('DEL', IMAGE .. id, MASK .. id)
  redis.call('ZREM', LEASES, id)
  redis.call('ZREM', DEADLINES, id)
  if model then redis.call('ZREM', READY .. model, id) end
  local size = redis.call('HGET', SIZES, id)
  if size then
    redis.call('HDEL', SIZES, id)
    redis.call('HINCRBY', LEDGER, 'bytes', -size)
  end
end

-- End a job, for good: its status, the lifetime of what is left of it, and the news to whoever waits.
local function settle(id, status)
  local job = redis.call('HMGET', JOB .. id, 'model', 'lifetime')
  redis.call('HSET', JOB .. id, 'status', status)
  redis.call('PEXPIRE', JOB .. id, job[2])
  forget(id, job[1])
  redis.call('PUBLISH', DONE, id)
end

-- End a job against its worker's will: the new generation makes a late finish void.
local function revoke(id, status)
  redis.call('HINCRBY', JOB .. id, 'token', 1)
  settle(id, status)
end

-- Back to its old place in the order.
local function requeue(id)
  local job = redis.call('HMGET', JOB .. id, 'model', 'tag')
  redis.call('HSET', JOB .. id, 'status', 'queued', 'queued_at', now_ms())
  redis.call('ZREM', LEASES, id)
  redis.call('ZADD', READY .. job[1], job[2], id)
  redis.call('PUBLISH', WAKE .. job[1], id)
end
