#!lua flags=allow-oom
-- What a client may know of its job; a job past its deadline ends here, so that no waiter needs a worker for it.
-- ARGV: id, client, id of the last event seen, or '' where events are not asked for
-- Answers {epoch} where there is no such job of this client,
-- else {epoch, 1 where this ended the job, now, status, model, created, deadline, attempts, code, detail,
--       jobs before it or -1, step, steps, {{id, {field, value...}} for each event after that one},
--       {number of its event, picture} of the newest preview, or {} where that event was seen}.
local id, client, after = unpack(ARGV)
local epoch = redis.call('HGET', LEDGER, 'epoch') or ''
local job = redis.call('HMGET', JOB .. id, 'client', 'deadline', 'status')
if job[1] ~= client then return {epoch} end

local now, ended = now_ms(), 0
if (job[3] == 'queued' or job[3] == 'running') and tonumber(job[2]) <= now then
  revoke(id, 'expired')
  ended = 1
end
local seen = redis.call('HMGET', JOB .. id, 'status', 'model', 'created', 'deadline', 'attempts', 'code', 'detail',
  'step', 'steps')
local position = -1
if seen[1] == 'queued' then
  position = redis.call('ZRANK', READY .. seen[2], id) or redis.call('ZRANK', ALONE .. seen[2], id) or -1
end
-- An id that was never given: of a job before the data were lost, say. Such a reader starts anew.
if after ~= '' and tonumber(after) > tonumber(redis.call('HGET', JOB .. id, 'events')) then after = '0' end
local events = after ~= '' and redis.call('XRANGE', EVENTS .. id, '(' .. after .. '-0', '+') or {}
local preview = {}
if after ~= '' then
  local kept = redis.call('HMGET', PREVIEW .. id, 'event', 'picture')
  if kept[1] and tonumber(kept[1]) > tonumber(after) then preview = kept end
end
return {epoch, ended, now, seen[1], seen[2], seen[3], seen[4], seen[5], seen[6] or '', seen[7] or '',
  position, seen[8], seen[9], events, preview}
