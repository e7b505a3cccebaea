//! Buffers that a thread lends out for the length of one synchronous step.
//!
//! Knows nothing of what is put into them: they come back dirty and are lent again. Whoever waits
//! has given its buffer back first, so an idle session holds none.

use std::cell::RefCell;

/// Four full TLS records and room for what surrounds them (RFC 8446 §5.2: 16 KiB and 256 bytes).
pub const BYTES: usize = 66 * 1024;

/// Buffers that a thread keeps while nobody needs them. A step within a step borrows a second one:
/// TLS inside TLS, under a pump.
const SPARE_MAX: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// Does `step` with a buffer of [`BYTES`] bytes, whose content means nothing.
pub fn with<T>(step: impl FnOnce(&mut [u8]) -> T) -> T {
    let spare = SPARE.with_borrow_mut(Vec::pop);
    let mut buffer = spare.unwrap_or_else(|| vec![0; BYTES].into_boxed_slice());
    let done = step(&mut buffer);
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARE_MAX {
            spare.push(buffer);
        }
    });
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_within_a_step_gets_a_buffer_of_its_own_and_both_are_lent_again() {
        let addresses = || {
            with(|outer| {
                let inner = with(|inner| inner.as_ptr() as usize);
                (outer.as_ptr() as usize, inner)
            })
        };
        let (outer, inner) = addresses();
        assert_ne!(outer, inner);
        assert_eq!(addresses(), (outer, inner));
    }

    #[test]
    fn a_thread_keeps_a_few_and_no_more() {
        fn nest(depth: usize) {
            with(|_| match depth {
                0 => {}
                _ => nest(depth - 1),
            });
        }
        nest(2 * SPARE_MAX);
        assert_eq!(SPARE.with_borrow(Vec::len), SPARE_MAX);
    }
}
