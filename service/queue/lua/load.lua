#!lua flags=no-writes
-- What the queue holds, who works on it, and how full its server is.
-- ARGV: priorities...
-- Answers {{{waiting, running, age of the oldest that waits in ms} for each priority},
-- {{model, live workers, their throughput, cost of what waits of each priority...} for each model},
-- {bytes used, most bytes or 0}}. Fractions are told as text. A model is known once it had a job or a worker.
local now, depths, models = now_ms(), {}, {}
for _, priority in ipairs(ARGV) do
  local oldest = redis.call('ZRANGE', WAITING .. priority, 0, 0, 'WITHSCORES')
  depths[#depths + 1] = {redis.call('ZCARD', WAITING .. priority), redis.call('ZCARD', RUNNING .. priority),
    oldest[2] and now - oldest[2] or 0}
end

local workers, throughput = {}, {}
local function know(model)
  workers[model], throughput[model] = workers[model] or 0, throughput[model] or 0
end
for _, field in ipairs(redis.call('HKEYS', LEDGER)) do
  local model = field:match('^waiting:(.+)$')
  if model then know(model) end
end
-- A worker's own key ends with its lifetime; its place in the list only when another one registers.
for _, worker in ipairs(redis.call('ZRANGE', WORKERS, now, '+inf', 'BYSCORE')) do
  local registered = redis.call('HMGET', WORKER .. worker, 'names', 'throughput')
  for _, model in ipairs(registered[1] and cmsgpack.unpack(registered[1]) or {}) do
    know(model)
    workers[model] = workers[model] + 1
    throughput[model] = throughput[model] + registered[2]
  end
end
for model, count in pairs(workers) do
  local told = {model, count, exact(throughput[model])}
  for _, priority in ipairs(ARGV) do
    told[#told + 1] = redis.call('HGET', LEDGER, 'ready:' .. priority .. ':' .. model) or '0'
  end
  models[#models + 1] = told
end

local info = redis.call('INFO', 'memory')
local memory = {tonumber(info:match('used_memory:(%d+)')), tonumber(info:match('maxmemory:(%d+)'))}
return {depths, models, memory}
