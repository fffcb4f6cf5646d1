//! The unmodified Python SDK of the Realtime API: login, stream, kill, resume, revoke, and no article
//! that it drops.
//!
//! It is on no package index, so this runs where `WME_SDK_PYTHON` names a folder with a checkout of
//! `github.com/wikimedia-enterprise/wme-sdk-python`. `WME_PYTHON` names an interpreter that has what it needs
//! (`pip install 'httpx[http2]==0.28.1' python-dotenv zlib-ng==1.0.0 pydantic`), `python3` otherwise. Only the
//! program that uses it is ours: `tests/python/reader.py`.

use std::process::Command;

use crate::realtime_sdk_go::read_over_kills;
use crate::server::skipped;

#[test]
fn the_python_sdk_reads_every_event_once_over_kills_of_both_sides() {
    let Some(sdk) = std::env::var_os("WME_SDK_PYTHON") else {
        skipped("the Python SDK of the Realtime API: WME_SDK_PYTHON names no checkout of it");
        return;
    };
    let sdk = std::fs::canonicalize(sdk).unwrap();
    let python = std::env::var_os("WME_PYTHON").unwrap_or_else(|| "python3".into());
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/reader.py");
    let said = read_over_kills(|url, lines, count| {
        let mut command = Command::new(&python);
        command.arg(program).arg(url).arg(lines).arg(count.to_string());
        command
            .env("PYTHONPATH", &sdk)
            .env("WME_USERNAME", "ann")
            .env("WME_PASSWORD", "correct horse");
        command
    });
    // 135: nothing was dropped; 137 and 127: a revoked token is refused, and the SDK says so.
    assert!(said.contains("skipped: 0\n"), "{said}");
    assert_eq!(
        said.matches("revoked: HTTP Error: 401 on stream").count(),
        2,
        "{said}"
    );
}
