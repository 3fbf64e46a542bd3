-- wrk -s wrk.lua URL -- METHOD PATH KEYS BODY
-- PATH may hold one %d: a number below KEYS, another one in each request. Prints one line of JSON at the end.

local method, path, keys, body

function init(args)
  method, path, keys, body = args[1], args[2], tonumber(args[3]), args[4]
  if body == "" then body = nil end
  math.randomseed(1)
end

function request()
  local target = path
  if keys > 0 then target = string.format(path, math.random(0, keys - 1)) end
  return wrk.format(method, target, nil, body)
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
