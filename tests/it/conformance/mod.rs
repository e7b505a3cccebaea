//! A conformance suite: what one side says, right and wrong, through the gateway to an end that is
//! strict, and the other way round.
//!
//! The cases know no gateway, so the same ones run without it: that is what `observe` and `opaque`
//! are held to, byte for byte, and by which the cases themselves are.

mod between;
mod cases;
mod conversation;
mod endings;
mod limits;
mod passing;
mod pings;
mod street;
mod validating;

use std::fmt::Debug;

use futures_util::StreamExt;
use futures_util::stream::iter;

use crate::support::frames::Seat;
use cases::Case;
use conversation::Way;

/// Sessions at once: many wait for each other's bytes, which keeps these apart.
const AT_ONCE: usize = 48;

/// One case as it is run: who says it, and how it is cut.
#[derive(Debug, Clone, Copy)]
struct Run<'c> {
    case: &'c Case,
    seat: Seat,
    way: Way,
}

/// Every case from either side, in one write and in many. All of them run; what fails is told in
/// one list.
async fn every<F>(run: impl Fn(Run<'static>) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    each(cases::all(), &[Seat::Client, Seat::Backend], run).await;
}

/// The same of these cases, said by these sides.
async fn each<F>(cases: Vec<Case>, seats: &[Seat], run: impl Fn(Run<'static>) -> F)
where
    F: Future<Output = Result<(), String>>,
{
    let cases: &'static [Case] = cases.leak();
    let runs = cases.iter().flat_map(|case| {
        seats
            .iter()
            .flat_map(move |&seat| [Way::AtOnce, Way::Bytewise].map(|way| Run { case, seat, way }))
    });
    let run = &run;
    let named = runs.map(|told| async move {
        let outcome = run(told).await;
        outcome.err().map(|why| {
            let Run { case, seat, way } = told;
            format!("{} from the {seat:?}, {way:?}: {why}", case.name)
        })
    });
    let failed: Vec<_> = iter(named)
        .buffer_unordered(AT_ONCE)
        .filter_map(async |failed| failed)
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}

/// As `assert_eq`, for one of many.
fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what} is {found:02x?}, not {expected:02x?}")),
    }
}

/// The same of bytes, of which only what differs is shown.
fn same_bytes(what: &str, found: &[u8], expected: &[u8]) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    let alike = found
        .iter()
        .zip(expected)
        .take_while(|(f, e)| f == e)
        .count();
    let shown = |bytes: &[u8]| {
        let some = &bytes[alike..bytes.len().min(alike + 40)];
        format!("{} bytes, from {alike} on {some:02x?}", bytes.len())
    };
    let (found, expected) = (shown(found), shown(expected));
    Err(format!("{what} is {found}, not {expected}"))
}
