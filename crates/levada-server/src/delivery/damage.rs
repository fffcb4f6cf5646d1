//! Past damage in what is stored: where reading can go on.

use std::sync::Arc;
use std::time::Duration;

use levada_event::{Offset, TopicPartition};
use levada_log::LogError;

use super::hub::Hub;
use super::tail::read;

/// So many records are tried one by one, so that none of those behind a damaged block is missed. Beyond it,
/// where whole files are gone, steps double, and what is sound between two damaged places may be passed over.
const ONE_BY_ONE: u64 = 4096;

/// The first offset behind `bad`, which cannot be read for damage, from which reading goes on; `end` where
/// there is none before it.
///
/// # Errors
/// What else keeps the log from being read.
pub(super) async fn behind(
    hub: &Arc<Hub>,
    of: &TopicPartition,
    mut bad: Offset,
    end: Offset,
) -> Result<Offset, LogError> {
    let first = bad;
    let mut step = 1;
    let mut good = loop {
        if bad + step >= end {
            break end;
        }
        if is_sound(hub, of, bad + step).await? {
            break bad + step;
        }
        bad += step;
        if bad - first >= ONE_BY_ONE {
            step *= 2;
        }
    };
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        match is_sound(hub, of, middle).await? {
            true => good = middle,
            false => bad = middle,
        }
    }
    Ok(good)
}

/// Whether the record at `offset` can be read, or is gone for another reason.
async fn is_sound(hub: &Arc<Hub>, of: &TopicPartition, offset: Offset) -> Result<bool, LogError> {
    match read(hub, of, offset, 1, Duration::ZERO).await {
        Ok(_) | Err(LogError::OutOfRange(_)) => Ok(true),
        Err(LogError::Corrupt { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
