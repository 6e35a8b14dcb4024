-- What wrk sends: requests of many visitors, any of them next.
-- Arguments: a file with a visitor's cookie in each line; the path; one request in how many changes a value, or 0.

local plain, changing, every, made = {}, {}, 0, 0
changes = 0

function init(args)
   every = tonumber(args[3])
   for cookie in io.lines(args[1]) do
      local headers = { Host = "shop.example", Cookie = cookie, ["X-Forwarded-Proto"] = "https" }
      plain[#plain + 1] = wrk.format("GET", args[2], headers)
      changing[#changing + 1] = wrk.format("GET", "/change", headers)
   end
   math.randomseed(os.time())
end

function request()
   made = made + 1
   local visitor = math.random(#plain)
   if every > 0 and made % every == 0 then
      changes = changes + 1
      return changing[visitor]
   end
   return plain[visitor]
end

local threads = {}

function setup(thread)
   threads[#threads + 1] = thread
end

-- What Python reads: a name and a number in each line.
function done(summary, latency)
   local sent = 0
   for _, thread in ipairs(threads) do
      sent = sent + thread:get("changes")
   end
   local errors = summary.errors
   local told = {
      requests = summary.requests,
      duration = summary.duration,
      p50 = latency:percentile(50),
      p99 = latency:percentile(99),
      changes = sent,
      failed = errors.connect + errors.read + errors.write + errors.timeout,
      refused = errors.status,
   }
   for name, number in pairs(told) do
      io.write(string.format("told %s %d\n", name, number))
   end
end
