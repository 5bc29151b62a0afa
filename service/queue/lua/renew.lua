#!lua flags=allow-oom
-- Extend the leases of the jobs that a worker still has.
-- ARGV: lease, then id and token of each
-- Answers for each 1, 0 where the job has ended, or -1 where its lease was lost.
local expiry, kept = now_ms() + ARGV[1], {}
for index = 2, #ARGV, 2 do
  local id = ARGV[index]
  local state = tenure(id, ARGV[index + 1])
  if state == 1 then redis.call('ZADD', LEASES, expiry, id) end
  kept[#kept + 1] = state
end
return kept
