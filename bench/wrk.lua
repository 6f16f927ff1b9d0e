-- A POST of 1 KiB, or of each line in turn of the file named after `--`, formatted once; at the end one line of JSON, so
-- that nobody parses a table meant for people.
wrk.method = "POST"
wrk.body = string.rep("0123456789abcdef", 64)
wrk.headers["Content-Type"] = "application/octet-stream"

function init(args)
  if not args[1] then return end
  local made = {}
  wrk.headers["Content-Type"] = "application/json"
  for line in io.lines(args[1]) do
    made[#made + 1] = wrk.format(nil, nil, nil, line)
  end
  local turn = 0
  request = function()
    turn = turn % #made + 1
    return made[turn]
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"exchanges": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p95": %d, "p99": %d, '
      .. '"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(95),
    latency:percentile(99), e.connect, e.read, e.write, e.status, e.timeout))
end
