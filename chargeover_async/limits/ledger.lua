-- The books of a shared quota, one exchange with one process; ledger.py says why, and does the same.
-- Runs on Redis 5 and later and on Valkey. Whole microseconds everywhere.
--
-- KEYS[1] - the ledger, a hash
-- ARGV[1] - the call as JSON, `Call` of ledger.py (all its numbers are below 2^53, so exact)
-- ARGV[2] - time (us) instead of the server's own, for tests
-- ARGV[3] - name of the server's incarnation instead of its run_id, for tests
--
-- returns {books, now, paused_in, lost_in, limit, in_window, pauses, ask_in, slot, due_in, early, ...}
--         all numbers, times in us; or {"the rules of the others"} when they differ. A list, as the
--         JSON that can be written here has 14 digits, and times have 16.
local DIRECT_WEIGHT = 3
local PROMPT = 20000
local STRETCH = 2
local RAMP_FROM = 0.2
local RAMP_PART = 6
local LONGEST_PAUSE_WINDOWS = 10
local SECOND = 1000000

local function whole(number)
  return string.format('%.0f', number)
end

local key = KEYS[1]
local call = cjson.decode(ARGV[1])
local limit_most, window, margin = call.rules.limit, call.rules.window, call.rules.margin
local guard, lease, burst = call.rules.guard, call.rules.lease, call.rules.burst
local first_pause, ahead = call.rules.pause, call.rules.ahead
local process, books, seen, elapsed = call.process, call.books, call.seen, call.elapsed
local direct, asked_bulk, chance = call.direct, call.bulk, call.chance
local span = window + margin
local unreported = lease + guard + span
local recovery = 2 * ahead + unreported
local slack = math.min(SECOND / 4, math.floor(window / 24))
local catch_up = math.min(SECOND / 10, math.floor(window / 60))
local rules = table.concat(
  {whole(limit_most), whole(window), whole(margin), whole(guard), whole(lease)}, ' ')

local clock, server
if ARGV[2] then
  clock = tonumber(ARGV[2])
else
  local time = redis.call('TIME')
  clock = tonumber(time[1]) * SECOND + tonumber(time[2])
end
if ARGV[3] then
  server = ARGV[3]
else
  -- Changes with every restart and every failover. Where it is not to be had, lost books are still
  -- noticed by what the processes remember.
  local info = redis.pcall('INFO', 'server')
  server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or '-'
end

-- Read: plain fields, 's:<slot>' -> when it ends, 'a:<process>' -> until when its ticket runs.
local book, slots, askers = {}, {}, {}
local fresh = true
local stored = redis.call('HGETALL', key)
for index = 1, #stored, 2 do
  local name, value = stored[index], stored[index + 1]
  local kind = string.sub(name, 1, 2)
  if kind == 's:' then
    slots[string.sub(name, 3)] = tonumber(value)
  elseif kind == 'a:' then
    askers[string.sub(name, 3)] = tonumber(value)
  elseif name == 'server' or name == 'rules' then
    book[name] = value
  else
    book[name] = tonumber(value)
  end
  fresh = false
end

-- Open: lost books begin anew, and wait until all that nobody knows of is over.
local lost = fresh or book.server ~= server or books > book.books
  or (books == book.books and seen > book.now)
if lost then
  local now = math.max(clock, (book.now or 0) + 1, seen + 1)
  local unused = fresh and call.trusts_empty and books == 0
  local lost_until = unused and now or now + recovery
  if not fresh then
    redis.call('DEL', key)
  end
  slots, askers = {}, {}
  book = {
    books = now, server = server, now = now, shift = now - clock, rules = rules, last_slot = now,
    lost_until = lost_until, anchor = lost_until - math.floor(span / limit_most) - 1,
    learnt = 1000 * limit_most, early_level = 0, early_at = 0, pause_began = -1, paused_until = 0,
    since_pause = 0, strikes = 0, pauses = 0,
  }
end

-- Advance: never back, and not further than the asking process has measured.
local now = clock + book.shift
if now < book.now then
  now = book.now
elseif books == book.books and seen > 0 and now > seen + elapsed + slack then
  now = math.max(book.now, seen + elapsed)
end
book.shift = now - clock
book.now = now

local changed_slots, changed_askers = {}, {}

local function store()
  local words = {}
  for name, value in pairs(book) do
    words[#words + 1] = name
    words[#words + 1] = type(value) == 'number' and whole(value) or value
  end
  local gone = {}
  for slot in pairs(changed_slots) do
    if slots[slot] then
      words[#words + 1] = 's:' .. slot
      words[#words + 1] = whole(slots[slot])
    else
      gone[#gone + 1] = 's:' .. slot
    end
  end
  for name in pairs(changed_askers) do
    if askers[name] then
      words[#words + 1] = 'a:' .. name
      words[#words + 1] = whole(askers[name])
    else
      gone[#gone + 1] = 'a:' .. name
    end
  end
  for first = 1, #words, 1000 do
    redis.call('HSET', key, unpack(words, first, math.min(first + 999, #words)))
  end
  for first = 1, #gone, 1000 do
    redis.call('HDEL', key, unpack(gone, first, math.min(first + 999, #gone)))
  end
end

local function reply(ask_in, grants)
  store()
  local in_window = 0
  for _ in pairs(slots) do
    in_window = in_window + 1
  end
  local answer = {
    book.books, now, math.max(0, book.paused_until - now), math.max(0, book.lost_until - now),
    math.min(math.floor(book.learnt / 1000), limit_most), in_window, book.pauses, ask_in,
  }
  for _, word in ipairs(grants or {}) do
    answer[#answer + 1] = word
  end
  return answer
end

if book.rules ~= rules then
  local in_use = next(askers) ~= nil
  for _, ends in pairs(slots) do
    in_use = in_use or ends > now
  end
  if in_use then
    store()
    return {book.rules}
  end
  book.rules = rules
  book.learnt = 1000 * limit_most
end

-- Reports.
local function throttled(made, retry_after)
  if book.pauses > 0 then
    if made >= 0 and made <= book.pause_began then
      return
    end
    if made < 0 and book.since_pause == 0 then
      return
    end
  end
  local follows = now < book.paused_until + window
  book.strikes = (follows and book.pauses > 0) and book.strikes + 1 or 1
  local pause
  if retry_after >= 0 then
    local least = math.floor(span * 1000 / book.learnt)
    pause = math.min(math.max(retry_after, least), LONGEST_PAUSE_WINDOWS * window)
  else
    local doubled = first_pause * 2 ^ math.min(book.strikes - 1, 20)
    pause = math.min(doubled, math.max(window, first_pause))
  end
  pause = pause + math.floor(pause * chance / 4000000)
  book.pauses = book.pauses + 1
  book.since_pause = 0
  book.pause_began = now
  book.paused_until = now + pause
  book.anchor = math.max(book.anchor, book.paused_until)
  book.learnt = math.max(math.floor(book.learnt * 4 / 5), math.max(1000, 100 * limit_most))
end

for _, report in ipairs(call.reports) do
  local kind, slot, ago, made = report.kind, report.slot, report.ago, report.made
  if kind == 'T' then
    throttled(made, ago)
  else
    if kind == 'S' then
      slots[slot] = now - ago + span
    elseif kind == 'H' then
      slots[slot] = now + unreported
    elseif kind == 'U' then
      slots[slot] = nil
    end
    changed_slots[slot] = true
  end
end

local over = {}
for slot, ends in pairs(slots) do
  if ends <= now then
    over[#over + 1] = slot
  end
end
for _, slot in ipairs(over) do
  slots[slot] = nil
  changed_slots[slot] = true
end
over = {}
for name, ticket in pairs(askers) do
  if ticket + 2 * ahead < now then
    over[#over + 1] = name
  end
end
for _, name in ipairs(over) do
  askers[name] = nil
  changed_askers[name] = true
end

-- Grants.
local bulk = math.max(0, asked_bulk)
local blocked = math.max(book.paused_until, book.lost_until) - now
if blocked > 0 then
  return reply(direct + bulk > 0 and blocked or -1)
end

local limit = math.floor(book.learnt / 1000)
local base = span / limit
local ends = {}
for _, at in pairs(slots) do
  ends[#ends + 1] = at
end
table.sort(ends)
local settled = 0
for _, at in ipairs(ends) do
  if at <= now + span then
    settled = settled + 1
  end
end

local function plan()
  local longest = STRETCH * base
  local free = limit - #ends
  local interval, room = base, free
  local first = math.max(1, 1 - free)
  local have = free + first
  for index = first, settled do
    local wait = ends[index] - book.anchor
    interval = math.max(interval, wait / have)
    room = math.min(room, have - wait / longest)
    have = have + 1
  end
  return interval, math.min(room, free + settled + 1 - (now + span - book.anchor) / longest)
end

local late = math.max(catch_up, math.ceil(2 * base))
book.anchor = math.max(book.anchor, now - late - math.ceil(base))
local interval, room = plan()
local ramp = math.floor(window / RAMP_PART)
local ramping = book.pauses > 0 and now < book.paused_until + ramp
local drained = math.floor((now - book.early_at) * burst * 1000 / window)
book.early_level = math.max(0, book.early_level - drained)
book.early_at = now

local others, last_ticket = 0, 0
for name, ticket in pairs(askers) do
  if name ~= process then
    others = others + 1
    last_ticket = math.max(last_ticket, ticket)
  end
end
local turns = math.max(1, math.floor(ahead / (base * (others + 1))))
-- Bulk without a ticket takes one first where others hold some.
local queues = others > 0 and askers[process] == nil
local grants, taken, due, replan = {}, 0, now, false
while direct > 0 or bulk > 0 do
  if replan then
    interval = plan()
    replan = false
  end
  local step = interval
  if ramping then
    step = step / (RAMP_FROM + (1 - RAMP_FROM) * ((now - book.paused_until) / ramp))
  end
  local turn = book.anchor + math.ceil(step)
  if #ends >= limit then
    turn = math.max(turn, ends[#ends - limit + 1])
  end
  due = math.max(turn, now)
  local early = direct > 0 and due > now and #ends < limit and room >= 1
    and book.early_level + 1000 <= 1000 * burst and not ramping
  if early then
    due = now
    room = room - 1
    book.early_level = book.early_level + 1000
  else
    local most = direct > 0 and turns * DIRECT_WEIGHT or turns
    -- Bulk leaves the line short, so that a direct call of another process waits little.
    local furthest = direct > 0 and 2 * ahead or ahead
    if taken >= most or due > now + furthest or (queues and direct == 0) then
      break
    end
    taken = taken + 1
    book.anchor = turn
  end
  book.last_slot = book.last_slot + 1
  local slot = whole(book.last_slot)
  slots[slot] = due + unreported
  changed_slots[slot] = true
  local place = #ends
  while place > 0 and ends[place] > due + unreported do
    place = place - 1
  end
  table.insert(ends, place + 1, due + unreported)
  replan = early
  book.since_pause = book.since_pause + 1
  book.learnt = math.min(book.learnt + 100, 1000 * limit_most)
  grants[#grants + 1] = book.last_slot
  grants[#grants + 1] = due - now
  grants[#grants + 1] = early and 1 or 0
  if direct > 0 then
    direct = direct - 1
  else
    bulk = bulk - 1
  end
end

local ask_in = -1
if direct > 0 or bulk > 0 then
  local start = math.max(book.anchor, last_ticket)
  local want = math.min(direct + bulk, direct > 0 and turns * DIRECT_WEIGHT or turns)
  askers[process] = start + math.ceil(want * interval)
  changed_askers[process] = true
  ask_in = math.max(math.max(start, due) - math.floor(ahead / 2) - now, PROMPT)
elseif asked_bulk >= 0 and askers[process] then
  askers[process] = nil
  changed_askers[process] = true
end
return reply(ask_in, grants)
