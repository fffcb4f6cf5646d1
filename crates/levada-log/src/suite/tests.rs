use super::*;
use crate::clock::ManualClock;
use crate::memory::{Memory, MemoryOptions};

struct InMemory {
    log: Arc<Memory>,
    clock: ManualClock,
}

impl InMemory {
    fn new(hole_every: u64) -> Self {
        let clock = ManualClock::default();
        let options = MemoryOptions {
            hole_every,
            clock: clock.clock(),
            ..MemoryOptions::default()
        };
        let log = Arc::new(Memory::new(options));
        Self { log, clock }
    }
}

#[async_trait]
impl Subject for InMemory {
    fn log(&self) -> Arc<dyn Log> {
        self.log.clone()
    }

    async fn restart(&mut self) -> bool {
        false
    }

    async fn pass(&mut self, by: Duration) -> bool {
        self.clock.advance(by);
        self.log.apply_retention();
        true
    }
}

/// What is in memory does not outlive it.
const SKIPPED: &[&str] = &[
    "a_restart_loses_nothing",
    "offsets_are_not_reused_after_a_restart",
    "offsets_are_not_reused_after_retention_and_restart",
    "facts_stay_the_same",
];

contract_suite!(memory, async { InMemory::new(3) }, SKIPPED);
contract_suite!(memory_without_holes, async { InMemory::new(0) }, SKIPPED);
