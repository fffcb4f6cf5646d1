//! `levada tail … | head`: a reader that goes away ends the tail, which is no error.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Instant;

use crate::articles;
use crate::client::PATIENCE;
use crate::server::binary;

#[test]
fn a_reader_that_has_gone_ends_the_tail_well() {
    let site = articles::site("");
    let live = site.start();
    articles::publish(&live, &[], 0..20, 10);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("offsets");
    let file = file.to_str().unwrap();
    let kinds: [&[&str]; 4] = [
        &[],
        &["--parts", "0,1,2,3,4,5,6,7,8,9"],
        &["--connections", "2"],
        &["--connections", "2", "--resume", file],
    ];
    for (round, arguments) in kinds.into_iter().enumerate() {
        let mut child = binary()
            .args(["tail", "articles", "--url", &live.url(), "--since", "1h"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        assert!(lines.read_line(&mut line).unwrap() > 0);
        drop(lines);
        // A few events, which fill no buffer.
        let first = 20 + 5 * round;
        articles::publish(&live, &[], first..first + 5, 10);
        let begun = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{arguments:?}: still there");
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let out = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(said.is_empty(), "{arguments:?}: {said}");
    }
}
