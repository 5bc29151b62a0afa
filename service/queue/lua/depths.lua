#!lua flags=no-writes
-- How many jobs wait and run, and how old the oldest is that waits.
-- ARGV: priorities...
-- Answers {waiting, running, age in ms} for each.
local now, depths = now_ms(), {}
for _, priority in ipairs(ARGV) do
  local oldest = redis.call('ZRANGE', WAITING .. priority, 0, 0, 'WITHSCORES')
  depths[#depths + 1] = {redis.call('ZCARD', WAITING .. priority), redis.call('ZCARD', RUNNING .. priority),
    oldest[2] and now - oldest[2] or 0}
end
return depths
