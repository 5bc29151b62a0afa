#!lua flags=allow-oom
-- Write a result, once: only the worker whose token is current may. A repeated finish changes nothing.
-- ARGV: id, token, then fields and values of the result
-- Answers 1, or 0 where the job was taken from this worker.
local id, token = unpack(ARGV, 1, 2)
if not holds(id, token, 'running') then
  return holds(id, token, 'succeeded') and 1 or 0
end
settle(id, 'succeeded')
for index = 3, #ARGV, 2 do
  redis.call('HSET', RESULT .. id, ARGV[index], ARGV[index + 1])
end
redis.call('PEXPIRE', RESULT .. id, redis.call('HGET', JOB .. id, 'lifetime'))
return 1
