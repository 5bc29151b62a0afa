#!lua flags=allow-oom
-- Cancel a client's job, waiting or running; one that has ended stays as it is.
-- ARGV: id, client
-- Answers 2 where this ended the job, 1 where it had ended, 0 where there is no such job of this client.
local id, client = unpack(ARGV)
local job = redis.call('HMGET', JOB .. id, 'client', 'status')
if job[1] ~= client then return 0 end
if job[2] ~= 'queued' and job[2] ~= 'running' then return 1 end
revoke(id, 'cancelled')
return 2
