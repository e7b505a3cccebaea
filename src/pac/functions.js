// What a PAC script may call, apart from what needs the network or the log: that comes in `own`.
// Arguments are whatever a script passes, so each is made a string or a number first.
(function (own) {
  "use strict";

  const DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
  const MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN",
    "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
  const orNull = (value) => (value === undefined ? null : value);
  const lower = (value) => String(value).toLowerCase();

  function isPlainHostName(host) {
    return !String(host).includes(".") && !String(host).includes(":");
  }

  function dnsDomainIs(host, domain) {
    return lower(host).endsWith(lower(domain));
  }

  function localHostOrDomainIs(host, full) {
    host = lower(host);
    full = lower(full);
    return host === full || (!host.includes(".") && full.startsWith(host + "."));
  }

  function dnsDomainLevels(host) {
    return String(host).split(".").length - 1;
  }

  function dnsResolve(host) {
    return orNull(own.resolve(String(host)));
  }

  function isResolvable(host) {
    return dnsResolve(host) !== null;
  }

  function dnsResolveEx(host) {
    return own.resolveAll(String(host));
  }

  function isResolvableEx(host) {
    return dnsResolveEx(host) !== "";
  }

  // A dotted IPv4 address as a number; null where it is none.
  function number(address) {
    const parts = String(address).split(".");
    const isByte = (part) => /^[0-9]{1,3}$/.test(part) && Number(part) <= 255;
    if (parts.length !== 4 || !parts.every(isByte)) return null;
    return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
  }

  function convert_addr(address) {
    const value = number(address);
    return value === null ? 0 : value | 0;
  }

  function isInNet(host, net, mask) {
    let address = number(host);
    if (address === null) address = number(dnsResolve(host));
    net = number(net);
    mask = number(mask);
    if (address === null || net === null || mask === null) return false;
    return (address & mask) === (net & mask);
  }

  function isInNetEx(host, prefix) {
    return own.isIn(String(host), String(prefix));
  }

  // `*` is any text, `?` one character. Goes back to the last `*` alone, so that no pattern takes
  // more than its length times that of the text.
  function shExpMatch(text, pattern) {
    text = String(text);
    pattern = String(pattern);
    let t = 0, p = 0, star = -1, from = 0;
    while (t < text.length) {
      if (pattern[p] === "*") {
        star = p++;
        from = t;
      } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
        t++;
        p++;
      } else if (star >= 0) {
        p = star + 1;
        t = ++from;
      } else {
        return false;
      }
    }
    while (pattern[p] === "*") p++;
    return p === pattern.length;
  }

  // The arguments without a `GMT` at their end, and now in that zone or the local one.
  function inZone(given) {
    const isGmt = given.length > 0 && lower(given[given.length - 1]) === "gmt";
    const now = new Date();
    const read = (name) => (isGmt ? now["getUTC" + name]() : now["get" + name]());
    return [isGmt ? given.slice(0, -1) : given, read];
  }

  // Whether `now` is from `first` to `last`, around the end of the week or year if need be.
  function isWithin(first, now, last) {
    if (compare(first, last) <= 0) return compare(first, now) <= 0 && compare(now, last) <= 0;
    return compare(first, now) <= 0 || compare(now, last) <= 0;
  }

  function compare(a, b) {
    for (let i = 0; i < a.length; i++) {
      if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return 0;
  }

  function weekdayRange(...given) {
    const [range, read] = inZone(given);
    const days = range.map((day) => DAYS.indexOf(String(day).toUpperCase()));
    if (days.length < 1 || days.length > 2 || days.includes(-1)) return false;
    return isWithin([days[0]], [read("Day")], [days[days.length - 1]]);
  }

  // What of a date an argument says: 0 its year, 1 its month, 2 its day.
  function part(value) {
    const month = MONTHS.indexOf(String(value).toUpperCase());
    if (month >= 0) return [1, month];
    const whole = Number(value);
    if (!Number.isInteger(whole) || whole < 1) return null;
    return whole <= 31 ? [2, whole] : [0, whole];
  }

  function dateRange(...given) {
    const [range, read] = inZone(given);
    const parts = range.map(part);
    if (![1, 2, 4, 6].includes(parts.length) || parts.includes(null)) return false;
    const half = Math.ceil(parts.length / 2);
    const inOrder = (some) => some.slice().sort((a, b) => a[0] - b[0]);
    const first = inOrder(parts.slice(0, half));
    const last = inOrder(parts.slice(-half));
    const kinds = (some) => some.map((one) => one[0]).join();
    if (kinds(first) !== kinds(last) || new Set(first.map((one) => one[0])).size !== half) {
      return false;
    }
    const today = [read("FullYear"), read("Month"), read("Date")];
    const value = (one) => one[1];
    const now = first.map((one) => today[one[0]]);
    const [from, to] = [first.map(value), last.map(value)];
    // No year comes again.
    if (first[0][0] === 0 && compare(from, to) > 0) return false;
    return isWithin(from, now, to);
  }

  // To the last second of the last hour, or minute, that is named.
  function timeRange(...given) {
    const [range, read] = inZone(given);
    const numbers = range.map(Number);
    const isTime = (value) => Number.isInteger(value) && value >= 0 && value < 60;
    if (![1, 2, 4, 6].includes(numbers.length) || !numbers.every(isTime)) return false;
    const half = Math.ceil(numbers.length / 2);
    const filled = (some, rest) => some.concat(rest).slice(0, 3);
    const first = filled(numbers.slice(0, half), [0, 0]);
    const last = filled(numbers.slice(-half), half === 1 ? [59, 59] : [59]);
    return isWithin(first, [read("Hours"), read("Minutes"), read("Seconds")], last);
  }

  const all = {
    isPlainHostName, dnsDomainIs, localHostOrDomainIs, dnsDomainLevels,
    dnsResolve, isResolvable, isInNet, convert_addr, shExpMatch,
    weekdayRange, dateRange, timeRange,
    dnsResolveEx, isResolvableEx, isInNetEx,
    myIpAddress: () => own.myAddress(),
    myIpAddressEx: () => own.myAddresses(),
    sortIpAddressList: (list) => own.sorted(String(list)),
    getClientVersion: () => "1.0",
    alert: (text) => { own.alert(String(text)); },
  };
  Object.assign(globalThis, all);
})
