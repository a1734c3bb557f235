-- wrk: every request with the next cookie of a file, one a line.

local requests = {}
local at = 0

function init(arguments)
    for cookie in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("GET", nil, { cookie = cookie })
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end
