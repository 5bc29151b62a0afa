#!lua flags=allow-oom
-- End a job without a result, under the same guard as finish.
-- ARGV: id, token, code, detail
-- Answers 1, or 0 where the job was taken from this worker.
local id, token, code, detail = unpack(ARGV)
if not holds(id, token, 'running') then
  return holds(id, token, 'failed') and 1 or 0
end
redis.call('HSET', JOB .. id, 'code', code, 'detail', detail)
settle(id, 'failed')
return 1
