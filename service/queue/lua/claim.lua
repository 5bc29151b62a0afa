#!lua flags=allow-oom
-- Lease to a worker the jobs with the lowest start tags, until their places reach those that it has free. Jobs past
-- their deadline end here, at no cost. A repeated claim (the same nonce) is answered as before.
-- A job that must run alone goes, as the only one, to an idle worker. To a busy one it is promised for a while, in
-- which that worker takes nothing more and runs empty; the other workers pass it by.
-- ARGV: worker, nonce, places, 1 if idle, drain time, lease, most expiries, models...
-- Answers {expired, 1 if a job waits for this worker to run empty, {{id, token, attempt, ms waited, places} for each}}.
local worker, nonce, places, idle = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1'
local drain_time, lease, most_expiries = ARGV[5], ARGV[6], tonumber(ARGV[7])
local now = now_ms()

local before = redis.call('HMGET', CLAIMS .. worker, 'nonce', 'answer')
if before[1] == nonce then return cmsgpack.unpack(before[2]) end

local function first(lists)
  local best, best_tag, best_model, best_list
  for index = 8, #ARGV do
    for _, list in ipairs(lists) do
      local head = redis.call('ZRANGE', list .. ARGV[index], 0, 0, 'WITHSCORES')
      if head[1] and (not best or tonumber(head[2]) < best_tag) then
        best, best_tag, best_model, best_list = head[1], tonumber(head[2]), ARGV[index], list
      end
    end
  end
  return best, best_model, best_list
end

local function take(id, model, start, waited, needed)
  redis.call('ZREM', READY .. model, id)
  redis.call('ZREM', ALONE .. model, id)
  redis.call('ZADD', LEASES, now + lease, id)
  redis.call('HSET', JOB .. id, 'status', 'running', 'worker', worker)
  redis.call('HSET', LEDGER, 'clock:' .. model,
    exact(math.max(tonumber(redis.call('HGET', LEDGER, 'clock:' .. model) or 0), start)))
  local attempt = redis.call('HINCRBY', JOB .. id, 'attempts', 1)
  count_as(id, 'waiting', 'running')
  tell(id, 'running')
  return {id, redis.call('HINCRBY', JOB .. id, 'token', 1), attempt, waited, needed}
end

local function promised(id)
  local job = redis.call('HMGET', JOB .. id, 'drainer', 'drain_until')
  if job[1] and job[1] ~= worker and tonumber(job[2]) > now then return false end
  if job[1] ~= worker then redis.call('HSET', JOB .. id, 'drainer', worker, 'drain_until', now + drain_time) end
  return true
end

local taken, expired, drain, lists = {}, 0, 0, {READY, ALONE}
while places > 0 and expired < most_expiries do
  local id, model, list = first(lists)
  if not id then break end
  local job = redis.call('HMGET', JOB .. id, 'deadline', 'start', 'queued_at', 'places')
  if not job[1] then
    redis.call('ZREM', list .. model, id) -- also where the ledger knows nothing of it: this loop must end
    forget(id)
  elseif tonumber(job[1]) <= now then
    revoke(id, 'expired')
    expired = expired + 1
  elseif list == ALONE and not (idle and #taken == 0) then
    if promised(id) then
      drain = 1
      break
    end
    lists = {READY}
  else
    taken[#taken + 1] = take(id, model, tonumber(job[2]), now - job[3], tonumber(job[4]))
    places = list == ALONE and 0 or places - job[4]
  end
end
local answer = {expired, drain, taken}
if #taken > 0 then
  redis.call('HSET', CLAIMS .. worker, 'nonce', nonce, 'answer', cmsgpack.pack(answer))
  redis.call('PEXPIRE', CLAIMS .. worker, lease)
end
return answer
