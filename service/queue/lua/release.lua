#!lua flags=allow-oom
-- Give a job back in good order: the attempt does not count.
-- ARGV: id, token
-- Answers 1, or 0 where the job was taken from this worker.
local id, token = unpack(ARGV)
if not holds(id, token, 'running') then return 0 end
redis.call('HINCRBY', JOB .. id, 'attempts', -1)
requeue(id)
return 1
