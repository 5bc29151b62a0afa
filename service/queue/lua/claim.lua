#!lua flags=allow-oom
-- Lease to a worker the jobs with the lowest start tags. Jobs past their deadline end here, at no cost.
-- ARGV: worker, most jobs, lease, most expiries, models...
-- Answers {expired, {{id, token, attempt, ms waited} for each job}}.
local worker, most, lease, most_expiries = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local now = now_ms()

local function first()
  local best, best_tag, best_model
  for index = 5, #ARGV do
    local head = redis.call('ZRANGE', READY .. ARGV[index], 0, 0, 'WITHSCORES')
    if head[1] and (not best or tonumber(head[2]) < best_tag) then
      best, best_tag, best_model = head[1], tonumber(head[2]), ARGV[index]
    end
  end
  return best, best_model
end

local function take(id, model, start, waited)
  redis.call('ZREM', READY .. model, id)
  redis.call('ZADD', LEASES, now + lease, id)
  redis.call('HSET', JOB .. id, 'status', 'running', 'claimed_at', now, 'worker', worker)
  local clock = tonumber(redis.call('HGET', LEDGER, 'clock:' .. model) or 0)
  redis.call('HSET', LEDGER, 'clock:' .. model, string.format('%.17g', math.max(clock, start)))
  local attempt = redis.call('HINCRBY', JOB .. id, 'attempts', 1)
  return {id, redis.call('HINCRBY', JOB .. id, 'token', 1), attempt, waited}
end

local taken, expired = {}, 0
while #taken < most and expired < most_expiries do
  local id, model = first()
  if not id then break end
  local job = redis.call('HMGET', JOB .. id, 'deadline', 'start', 'queued_at')
  if not job[1] then
    forget(id, model)
  elseif tonumber(job[1]) <= now then
    revoke(id, 'expired')
    expired = expired + 1
  else
    taken[#taken + 1] = take(id, model, tonumber(job[2]), now - job[3])
  end
end
return {expired, taken}
