//! What happened so far, in numbers, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Accounts;

macro_rules! counters {
    ($( $(#[$doc:meta])* $name:ident; )*) => {
        #[derive(Default)]
        pub(crate) struct Counters { $( pub(crate) $name: AtomicU64, )* }

        /// Counts since the start of the process.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct Stats { $( $(#[$doc])* pub $name: u64, )* }

        impl Accounts {
            /// What happened since the start of the process.
            pub fn stats(&self) -> Stats {
                let counters = &self.inner.counters;
                Stats { $( $name: counters.$name.load(Ordering::Relaxed), )* }
            }
        }

        impl Stats {
            /// Names and values, for metrics.
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$( (stringify!($name), self.$name), )*].into_iter()
            }
        }
    };
}

counters! {
    /// Logins that gave tokens.
    logins;
    /// Logins and other password checks that failed.
    wrong_passwords;
    /// Requests that were turned away because of failures before them.
    locked_out;
    /// Refreshes that gave tokens.
    refreshes;
    /// Sessions that were ended by `/v1/token-revoke`.
    revocations;
    /// Credentials that were let in from memory.
    recognised_from_memory;
    /// Credentials that were let in after asking the store.
    recognised;
    /// Credentials that were refused.
    refused;
    /// Requests that could not be decided because the store did not answer.
    undecided;
}

pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
