#!lua flags=allow-oom
-- Tell how far running jobs are, and look which of them their worker should drop.
-- ARGV: id, token, step and steps of each; steps is 0 where there is no news
-- Answers for each 1 while the worker has it, 0 where it has ended, or -1 where its lease was lost.
local kept = {}
for index = 1, #ARGV, 4 do
  local id, token, step, steps = unpack(ARGV, index, index + 3)
  local state = tenure(id, token)
  if state == 1 and steps ~= '0' then
    redis.call('HSET', JOB .. id, 'step', step, 'steps', steps)
    tell(id, 'progress', 'step', step, 'steps', steps)
  end
  kept[#kept + 1] = state
end
return kept
