#!lua flags=allow-oom
-- Give a job back in good order. Its attempt counts only where the worker says so; the last one then ends it.
-- ARGV: id, token, 1 if the attempt counts, most attempts
-- Answers {1 or 0 where the job was taken from this worker, 1 where it went to the dead letters}.
local id, token, counts, most_attempts = ARGV[1], ARGV[2], ARGV[3] == '1', ARGV[4]
if not holds(id, token, 'running') then
  return {holds(id, token, 'queued') and 1 or 0, 0}
end
if counts and tonumber(redis.call('HGET', JOB .. id, 'attempts')) >= tonumber(most_attempts) then
  revoke(id, 'dead_lettered')
  return {1, 1}
end
if not counts then redis.call('HINCRBY', JOB .. id, 'attempts', -1) end
requeue(id, most_attempts)
return {1, 0}
