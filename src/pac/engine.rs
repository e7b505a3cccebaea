//! A JavaScript engine with one PAC script in it, held to a time and to an amount of memory.
//!
//! Knows no pipes and no processes.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rquickjs::context::EvalOptions;
use rquickjs::function::Func;
use rquickjs::{CatchResultExt, CaughtError, Context, Ctx, Function, Object, Runtime, Value};

use super::names;

/// A real script of 1 MiB takes a tenth of it.
const MEMORY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// An eighth of a thread's stack on Linux; a real script needs a hundredth.
const STACK_BYTES_MAX: usize = 512 * 1024;
/// No real answer has a tenth of it.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const ALERTS_MAX: usize = 8;
const TEXT_CHARS_MAX: usize = 300;

const FUNCTIONS: &str = include_str!("functions.js");
const FIND: &str = "typeof FindProxyForURL === 'function' ? FindProxyForURL : undefined";

/// An engine that has run a script and can be asked.
pub(super) struct Engine {
    context: Context,
    limit: Duration,
    /// When the script must have ended.
    deadline: Rc<Cell<Instant>>,
    alerts: Rc<RefCell<Vec<String>>>,
}

impl Engine {
    /// Runs `script`, which takes no longer than `limit`; nor does each answer after it.
    pub(super) fn load(script: &str, limit: Duration) -> Result<Self, String> {
        let words = |error: rquickjs::Error| error.to_string();
        let runtime = Runtime::new().map_err(words)?;
        runtime.set_memory_limit(MEMORY_BYTES_MAX);
        runtime.set_max_stack_size(STACK_BYTES_MAX);
        let engine = Self {
            context: Context::full(&runtime).map_err(words)?,
            limit,
            deadline: Rc::new(Cell::new(Instant::now() + limit)),
            alerts: Rc::default(),
        };
        let deadline = engine.deadline.clone();
        let is_over = move || Instant::now() >= deadline.get();
        runtime.set_interrupt_handler(Some(Box::new(is_over)));
        engine
            .run(|ctx| {
                engine.give_functions(ctx)?;
                // As in a browser: a variable need not be declared.
                let options = sloppy();
                ctx.eval_with_options::<(), _>(script, options).catch(ctx)?;
                let find: Value<'_> = ctx.eval(FIND).catch(ctx)?;
                Ok(find.is_function())
            })?
            .then_some(())
            .ok_or("it has no function FindProxyForURL")?;
        Ok(engine)
    }

    /// What the script answers.
    pub(super) fn find(&self, url: &str, host: &str) -> Result<String, String> {
        self.deadline.set(Instant::now() + self.limit);
        let answer = self.run(|ctx| {
            let find: Function<'_> = ctx.eval(FIND).catch(ctx)?;
            let answer: Value<'_> = find.call((url, host)).catch(ctx)?;
            if answer.is_null() || answer.is_undefined() {
                return Ok(Ok(String::new()));
            }
            match answer.as_string() {
                Some(text) => Ok(Ok(text.to_string().catch(ctx)?)),
                None => Ok(Err(answer.type_name())),
            }
        })?;
        match answer {
            Ok(text) if text.len() > ANSWER_BYTES_MAX => Err(format!(
                "its answer is longer than {ANSWER_BYTES_MAX} bytes"
            )),
            Ok(text) => Ok(text),
            Err(kind) => Err(format!("its answer is no string but: {kind}")),
        }
    }

    /// What was said by `alert` since they were last asked for.
    pub(super) fn alerts(&self) -> Vec<String> {
        self.alerts.take()
    }

    fn run<T>(
        &self,
        doing: impl for<'js> FnOnce(&Ctx<'js>) -> Result<T, CaughtError<'js>>,
    ) -> Result<T, String> {
        self.context.with(|ctx| {
            doing(&ctx).map_err(|error| match Instant::now() >= self.deadline.get() {
                true => format!("it ran longer than {:?}", self.limit),
                false => words(&error),
            })
        })
    }

    fn give_functions<'js>(&self, ctx: &Ctx<'js>) -> Result<(), CaughtError<'js>> {
        let alerts = self.alerts.clone();
        let alert = move |text: String| {
            let mut alerts = alerts.borrow_mut();
            if alerts.len() < ALERTS_MAX {
                alerts.push(clipped(&text));
            }
        };
        let own = || {
            let own = Object::new(ctx.clone())?;
            own.set("resolve", Func::from(|host: String| names::resolve(&host)))?;
            own.set(
                "resolveAll",
                Func::from(|host: String| names::resolve_all(&host)),
            )?;
            own.set("myAddress", Func::from(names::my_address))?;
            own.set("myAddresses", Func::from(names::my_addresses))?;
            let is_in = |host: String, prefix: String| names::is_in(&host, &prefix);
            own.set("isIn", Func::from(is_in))?;
            own.set("sorted", Func::from(|list: String| names::sorted(&list)))?;
            own.set("alert", Function::new(ctx.clone(), alert)?)?;
            ctx.eval::<Function<'_>, _>(FUNCTIONS)?
                .call::<_, ()>((own,))
        };
        own().catch(ctx)
    }
}

fn sloppy() -> EvalOptions {
    let mut options = EvalOptions::default();
    options.strict = false;
    options
}

fn words(error: &CaughtError<'_>) -> String {
    match error {
        CaughtError::Exception(exception) => {
            let message = exception.message().unwrap_or_default();
            clipped(&message)
        }
        CaughtError::Value(value) => match value.as_string().map(|s| s.to_string()) {
            Some(Ok(text)) => format!("it threw {}", clipped(&text)),
            _ => format!("it threw: {}", value.type_name()),
        },
        CaughtError::Error(error) => clipped(&error.to_string()),
    }
}

fn clipped(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what ends by itself, be it at a slow resolver.
    const LIMIT: Duration = Duration::from_secs(30);

    fn ask(script: &str) -> Result<String, String> {
        ask_within(LIMIT, script)
    }

    fn ask_within(limit: Duration, script: &str) -> Result<String, String> {
        Engine::load(script, limit)?.find("https://chat.example:443/", "chat.example")
    }

    /// What an expression of a script is, and `now` in it.
    fn is_at(now: &str, expression: &str, expected: &str) {
        let script = format!(
            "var Real = Date; Date = function () {{ return new Real('{now}'); }};\n\
             function FindProxyForURL(url, host) {{ return String({expression}); }}"
        );
        assert_eq!(
            ask(&script).as_deref(),
            Ok(expected),
            "{expression} at {now}"
        );
    }

    fn is(expression: &str, expected: &str) {
        is_at("2026-03-04T05:06:07Z", expression, expected);
    }

    #[test]
    fn names_are_compared_as_text() {
        is("isPlainHostName('www')", "true");
        is("isPlainHostName('www.example')", "false");
        is("isPlainHostName('::1')", "false");
        is("dnsDomainIs('www.Example.com', '.example.com')", "true");
        is("dnsDomainIs('www.example.org', '.example.com')", "false");
        is("dnsDomainIs('m', '.example.com')", "false");
        is("localHostOrDomainIs('www.a.test', 'www.a.test')", "true");
        is("localHostOrDomainIs('www', 'www.a.test')", "true");
        is("localHostOrDomainIs('www.b.test', 'www.a.test')", "false");
        is("localHostOrDomainIs('ww', 'www.a.test')", "false");
        is("dnsDomainLevels('www')", "0");
        is("dnsDomainLevels('www.a.test')", "2");
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        is("shExpMatch('http://a.test/b/c', '*/b/*')", "true");
        is("shExpMatch('http://a.test/b', '*/b/*')", "false");
        is("shExpMatch('abc', 'a?c')", "true");
        is("shExpMatch('ac', 'a?c')", "false");
        is("shExpMatch('', '*')", "true");
        is("shExpMatch('', '?')", "false");
        is("shExpMatch('a.b', 'a.b')", "true");
        is("shExpMatch('axb', 'a.b')", "false");
        is("shExpMatch('abab', '*ab')", "true");
        is("shExpMatch('abc', 'abc*')", "true");
        is("shExpMatch('a[b', 'a[b')", "true");
        is("shExpMatch('ABC', 'abc')", "false");
        let many = "shExpMatch('a'.repeat(3000), '*a'.repeat(50) + 'b')";
        is(many, "false");
    }

    #[test]
    fn addresses_are_compared_as_numbers() {
        is("isInNet('10.1.2.3', '10.0.0.0', '255.0.0.0')", "true");
        is("isInNet('11.1.2.3', '10.0.0.0', '255.0.0.0')", "false");
        is(
            "isInNet('192.168.1.1', '192.168.1.0', '255.255.255.0')",
            "true",
        );
        is("isInNet('localhost', '127.0.0.0', '255.0.0.0')", "true");
        is("isInNet('10.1.2.3', '10.0.0', '255.0.0.0')", "false");
        is("isInNet('10.1.2.3', '10.0.0.0', '256.0.0.0')", "false");
        is("isInNet('no.such.invalid', '0.0.0.0', '0.0.0.0')", "false");
        is("convert_addr('104.16.41.2')", "1745889538");
        is("convert_addr('255.255.255.255')", "-1");
        is("convert_addr('x')", "0");
        is("isInNetEx('fd00::1', 'fc00::/7')", "true");
        is("isInNetEx('10.1.2.3', '10.0.0.0/8')", "true");
        is("isInNetEx('10.1.2.3', 'fc00::/7')", "false");
        is("isInNetEx('10.1.2.3', '10.0.0.0')", "false");
        is(
            "sortIpAddressList('10.2.0.1; ::1;10.1.0.1')",
            "::1;10.1.0.1;10.2.0.1",
        );
        is("sortIpAddressList('10.2.0.1;x')", "");
    }

    #[test]
    fn names_are_resolved_by_the_system() {
        is("dnsResolve('127.0.0.1')", "127.0.0.1");
        is("dnsResolve('localhost')", "127.0.0.1");
        is("dnsResolve('::1')", "null");
        is("dnsResolve('no.such.invalid')", "null");
        is("isResolvable('localhost')", "true");
        is("isResolvable('no.such.invalid')", "false");
        is("dnsResolveEx('::1')", "::1");
        is("dnsResolveEx('no.such.invalid')", "");
        is("isResolvableEx('::1')", "true");
        is("typeof isResolvable()", "boolean");
        is("/^[0-9.]+$/.test(myIpAddress())", "true");
        is("typeof myIpAddressEx()", "string");
        is("typeof getClientVersion()", "string");
    }

    #[test]
    fn weekdays_go_round_the_week() {
        // A Wednesday.
        let now = "2026-03-04T05:06:07Z";
        is_at(now, "weekdayRange('WED', 'GMT')", "true");
        is_at(now, "weekdayRange('wed', 'gmt')", "true");
        is_at(now, "weekdayRange('THU', 'GMT')", "false");
        is_at(now, "weekdayRange('MON', 'FRI', 'GMT')", "true");
        is_at(now, "weekdayRange('FRI', 'MON', 'GMT')", "false");
        is_at(now, "weekdayRange('SAT', 'WED', 'GMT')", "true");
        is_at(now, "weekdayRange()", "false");
        is_at(now, "weekdayRange('XXX')", "false");
        is_at(now, "weekdayRange('GMT')", "false");
    }

    #[test]
    fn dates_go_round_the_year_unless_they_name_it() {
        let now = "2026-03-04T05:06:07Z";
        is_at(now, "dateRange(4, 'GMT')", "true");
        is_at(now, "dateRange(5, 'GMT')", "false");
        is_at(now, "dateRange(1, 15, 'GMT')", "true");
        is_at(now, "dateRange('MAR', 'GMT')", "true");
        is_at(now, "dateRange('APR', 'GMT')", "false");
        is_at(now, "dateRange('JAN', 'MAR', 'GMT')", "true");
        is_at(now, "dateRange('DEC', 'MAR', 'GMT')", "true");
        is_at(now, "dateRange('OCT', 'FEB', 'GMT')", "false");
        is_at(now, "dateRange(2026, 'GMT')", "true");
        is_at(now, "dateRange(2025, 'GMT')", "false");
        is_at(now, "dateRange(2025, 2027, 'GMT')", "true");
        is_at(now, "dateRange(1, 'MAR', 4, 'MAR', 'GMT')", "true");
        is_at(now, "dateRange(5, 'MAR', 1, 'APR', 'GMT')", "false");
        is_at(now, "dateRange(24, 'DEC', 4, 'MAR', 'GMT')", "true");
        is_at(now, "dateRange('JAN', 2026, 'MAR', 2026, 'GMT')", "true");
        is_at(now, "dateRange('OCT', 2025, 'FEB', 2026, 'GMT')", "false");
        is_at(
            now,
            "dateRange(1, 'OCT', 2025, 4, 'MAR', 2026, 'GMT')",
            "true",
        );
        is_at(
            now,
            "dateRange(1, 'OCT', 2025, 3, 'MAR', 2026, 'GMT')",
            "false",
        );
        is_at(now, "dateRange(2027, 2025, 'GMT')", "false");
        is_at(now, "dateRange()", "false");
        is_at(now, "dateRange('MAR', 1, 'APR')", "false");
        is_at(now, "dateRange(1, 'APR')", "false");
        is_at(now, "dateRange(0)", "false");
    }

    #[test]
    fn times_go_to_the_end_of_what_they_name_and_round_the_day() {
        let now = "2026-03-04T05:06:07Z";
        is_at(now, "timeRange(5, 'GMT')", "true");
        is_at(now, "timeRange(6, 'GMT')", "false");
        is_at(now, "timeRange(4, 5, 'GMT')", "true");
        is_at(now, "timeRange(6, 9, 'GMT')", "false");
        is_at(now, "timeRange(22, 6, 'GMT')", "true");
        is_at(now, "timeRange(5, 0, 5, 6, 'GMT')", "true");
        is_at(now, "timeRange(5, 7, 6, 0, 'GMT')", "false");
        is_at(now, "timeRange(5, 6, 7, 5, 6, 7, 'GMT')", "true");
        is_at(now, "timeRange(5, 6, 8, 9, 0, 0, 'GMT')", "false");
        is_at(now, "timeRange()", "false");
        is_at(now, "timeRange('x')", "false");
        is_at(now, "timeRange(1, 2, 3)", "false");
    }

    #[test]
    fn a_script_is_told_url_and_host_and_may_be_written_as_in_a_browser() {
        let find = |body: &str| ask(&format!("function FindProxyForURL(url, host) {{ {body} }}"));
        let told = "https://chat.example:443/ chat.example";
        assert_eq!(find("return url + ' ' + host;").as_deref(), Ok(told));
        assert_eq!(
            find("undeclared = 'DIRECT'; return undeclared;").as_deref(),
            Ok("DIRECT")
        );
        assert_eq!(find("").as_deref(), Ok(""));
        assert_eq!(find("return null;").as_deref(), Ok(""));
        let arrow = "const FindProxyForURL = (url, host) => 'PROXY a:1';";
        assert_eq!(ask(arrow).as_deref(), Ok("PROXY a:1"));
    }

    #[test]
    fn alerts_are_kept_and_bounded() {
        let script = "alert('hello'); for (var i = 0; i < 100; i++) alert('x'.repeat(9999));\n\
                      function FindProxyForURL() {}";
        let alerts = Engine::load(script, LIMIT).expect("loads").alerts();
        assert_eq!((alerts.len(), alerts[0].as_str()), (ALERTS_MAX, "hello"));
        assert_eq!(alerts[1].len(), TEXT_CHARS_MAX);
    }

    /// Ends in a failure that says this, and soon. Whoever has to meet another limit than that on
    /// time gets time enough to meet it on a busy machine.
    fn fails(script: &str, words: &str) {
        let limit = match words {
            "memory" | "stack" => Duration::from_secs(15),
            _ => Duration::from_millis(500),
        };
        let began = Instant::now();
        let error = ask_within(limit, script).expect_err(script);
        assert!(error.contains(words), "{script}: {error}");
        assert!(began.elapsed() < Duration::from_secs(20), "{script}");
    }

    #[test]
    fn what_a_script_does_wrong_is_a_failure() {
        let find = |body: &str| format!("function FindProxyForURL(url, host) {{ {body} }}");
        fails("function FindProxyForURL( {", "invalid");
        fails("var x = 1;", "no function FindProxyForURL");
        fails("throw new Error('broken');", "broken");
        fails(&find("throw 'thrown';"), "thrown");
        fails(&find("throw { a: 1 };"), "threw");
        fails(&find("return 7;"), "no string");
        fails(&find("return new Promise(function () {});"), "no string");
        fails(&find("return 'x'.repeat(1e6);"), "longer than");
        fails(&find("return nothing.here;"), "nothing");
    }

    #[test]
    fn a_hostile_script_ends() {
        let find = |body: &str| format!("function FindProxyForURL(url, host) {{ {body} }}");
        fails("for (;;) {}", "longer than");
        fails(&find("for (;;) {}"), "longer than");
        fails(
            &find("for (;;) { try { for (;;) {} } catch (e) {} }"),
            "longer than",
        );
        fails(
            &find("try { for (;;) {} } finally { for (;;) {} }"),
            "longer than",
        );
        fails(
            &find("return /^(a+)+$/.test('a'.repeat(40) + 'b');"),
            "longer than",
        );
        fails(&find("return FindProxyForURL(url, host);"), "stack");
        fails(&find("return eval('('.repeat(1e5));"), "stack");
        fails(
            &find("var a = []; for (;;) a.push('x'.repeat(1e6) + a.length);"),
            "memory",
        );
        fails(&find("return 'x'.repeat(1e9);"), "");
        fails(
            &find("var e = { get message() { for (;;) {} } }; throw e;"),
            "",
        );
        fails(
            &find("return { toString: function () { for (;;) {} } };"),
            "no string",
        );
    }
}
