#!lua flags=allow-oom
-- End what is past its deadline, and take back what silent workers hold: to the queue, or after the last attempt
-- to the dead letters.
-- ARGV: most attempts, most jobs of each kind
-- Answers {requeued, dead-lettered, expired}.
local most_attempts, most = tonumber(ARGV[1]), ARGV[2]
local now = now_ms()
local requeued, dead, expired = 0, 0, 0

for _, id in ipairs(redis.call('ZRANGEBYSCORE', DEADLINES, '-inf', now, 'LIMIT', 0, most)) do
  if redis.call('EXISTS', JOB .. id) == 1 then revoke(id, 'expired') else forget(id) end
  expired = expired + 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, most)) do
  local attempts = redis.call('HGET', JOB .. id, 'attempts')
  if not attempts then
    forget(id)
  elseif tonumber(attempts) >= most_attempts then
    revoke(id, 'dead_lettered')
    dead = dead + 1
  else
    requeue(id, most_attempts)
    requeued = requeued + 1
  end
end
return {requeued, dead, expired}
