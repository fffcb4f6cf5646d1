//! The contract suite on the engine, in the ways in which it can run.

use std::time::Duration;

use async_trait::async_trait;

use super::super::*;
use crate::clock::ManualClock;
use crate::suite::Subject;

/// An engine in a directory of its own, with segments so small that every test rolls many.
struct OnFiles {
    log: Arc<Embedded>,
    clock: ManualClock,
    options: EmbeddedOptions,
    _dir: tempfile::TempDir,
}

impl OnFiles {
    async fn new(change: impl FnOnce(&mut EmbeddedOptions)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let mut options = EmbeddedOptions::new(dir.path().join("a/log"));
        options.clock = clock.clock();
        options.maintain_every = None;
        options.segment_bytes = 16 << 10;
        options.committers = 4;
        change(&mut options);
        Self {
            log: Embedded::open(options.clone()).unwrap(),
            clock,
            options,
            _dir: dir,
        }
    }
}

#[async_trait]
impl Subject for OnFiles {
    fn log(&self) -> Arc<dyn Log> {
        self.log.clone()
    }

    async fn restart(&mut self) -> bool {
        self.log.close().await;
        self.log = Embedded::open(self.options.clone()).unwrap();
        true
    }

    async fn pass(&mut self, by: Duration) -> bool {
        self.clock.advance(by);
        self.log.maintain();
        true
    }

    fn bytes_to_roll(&self) -> usize {
        24 << 10
    }
}

contract_suite!(fsync, OnFiles::new(|_| {}), &[]);
contract_suite!(os, OnFiles::new(|o| o.durability = Durability::Os), &[]);
contract_suite!(
    without_memory,
    OnFiles::new(|o| {
        o.hot_bytes = 0;
        o.committers = 1;
    }),
    &[]
);
contract_suite!(
    packing,
    OnFiles::new(|o| {
        o.compress = true;
        o.hot_bytes = 4096;
        o.maintain_every = Some(Duration::from_millis(1));
    }),
    &[]
);
