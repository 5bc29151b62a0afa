#!lua flags=allow-oom
-- Tell how far running jobs are and what they look like, and look which of them their worker should drop.
-- ARGV: id, token, step, steps and preview of each; steps is 0 where there is no news, preview '' where there is none
-- Answers for each 1 while the worker has it, 0 where it has ended, or -1 where its lease was lost.
local kept = {}
for index = 1, #ARGV, 5 do
  local id, token, step, steps, preview = unpack(ARGV, index, index + 4)
  local state = tenure(id, token)
  if state == 1 and steps ~= '0' then
    redis.call('HSET', JOB .. id, 'step', step, 'steps', steps)
    local event = tell(id, 'progress', 'step', step, 'steps', steps)
    if preview ~= '' then show(id, event, preview) end
  end
  kept[#kept + 1] = state
end
return kept
