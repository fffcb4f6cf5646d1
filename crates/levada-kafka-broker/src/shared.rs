//! The broker that all tests of a run share, and the count of the tests that used one.

use std::fs::File;
use std::io::Write;

use crate::Jars;

/// Environment variable with the address of the broker that the tests share.
pub const SHARED: &str = "LEVADA_TEST_KAFKA";

/// Environment variable that makes a missing broker a failure instead of a reason to skip.
pub const REQUIRED: &str = "LEVADA_REQUIRE_KAFKA";

/// Environment variable with a file to which each test that uses a broker adds a line.
pub const RAN: &str = "LEVADA_KAFKA_RAN";

/// The address of the broker that the tests share, noting that the test `test` ran; `None` after
/// printing why the test is skipped.
///
/// # Panics
/// When a broker is required (`cargo xtask test` does) and there is none.
pub fn shared(test: &str) -> Option<String> {
    let address = found(test)?;
    note(test);
    Some(address)
}

/// As [`shared`], for a test that may find that it has nothing to try: it [`note`]s itself that it ran.
///
/// # Panics
/// As [`shared`].
pub fn found(test: &str) -> Option<String> {
    let Some(address) = std::env::var(SHARED).ok().filter(|text| !text.is_empty()) else {
        skip(test, "no broker is running; `cargo xtask test` starts one");
        return None;
    };
    Some(address)
}

/// The jars for a broker of the test's own, noting that the test `test` ran; `None` after printing
/// why the test is skipped.
///
/// # Panics
/// When they are required and not there.
pub fn jars(test: &str) -> Option<Jars> {
    let Some(jars) = Jars::cached() else {
        skip(
            test,
            "the jars of Kafka are not there; `cargo xtask test` fetches them",
        );
        return None;
    };
    note(test);
    Some(jars)
}

/// Notes that a test that uses a broker is running.
///
/// # Panics
/// When the file to note it in cannot be written.
pub fn note(test: &str) {
    let Some(path) = std::env::var_os(RAN) else {
        return;
    };
    let written = File::options()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(format!("{test}\n").as_bytes()));
    if let Err(error) = written {
        panic!("{}: {error}", path.display());
    }
}

fn skip(test: &str, why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{test}: {why}");
    println!("skipped: {test}: {why}");
}
