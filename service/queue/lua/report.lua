#!lua flags=allow-oom
-- Tell how far running jobs are, and look which of them their worker should drop.
-- ARGV: id, token, step and steps of each; steps is 0 where there is no news
-- Answers 1 for each that the worker still has, else 0.
local kept = {}
for index = 1, #ARGV, 4 do
  local id, token, step, steps = unpack(ARGV, index, index + 3)
  local held = holds(id, token, 'running')
  if held and steps ~= '0' then
    redis.call('HSET', JOB .. id, 'step', step, 'steps', steps)
    tell(id, 'progress', 'step', step, 'steps', steps)
  end
  kept[#kept + 1] = held and 1 or 0
end
return kept
