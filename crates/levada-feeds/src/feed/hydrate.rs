//! Summaries for titles: each distinct one asked for once, all at the same time.

use crate::model::{DbTitle, Summary};
use crate::wiki::{Ask, Fault, Trace, Wiki, in_time};
use futures_util::future::join_all;
use std::collections::{HashMap, HashSet};

/// Distinct titles of one feed. The largest day pages link to about a thousand pages; what lies beyond this bound is
/// treated as without a summary.
const TITLES: usize = 5_000;

/// When of so many pages none has a summary, it is the summary service that is not there.
const SUSPICIOUS: usize = 5;

/// Summaries by title. A title without one is absent; if that is because of a failure, it is noted in the trace.
pub(crate) async fn summaries<'a>(
    wiki: &Wiki,
    domain: &str,
    titles: impl Iterator<Item = &'a DbTitle>,
    ask: &Ask,
    trace: &Trace,
) -> HashMap<DbTitle, Summary> {
    let mut seen = HashSet::new();
    let distinct: Vec<&DbTitle> = titles.filter(|title| seen.insert(*title)).take(TITLES).collect();
    let asked = distinct
        .iter()
        .map(|title| in_time(ask.pieces_by, wiki.summary(domain, title.as_str(), ask, trace)));
    let answers = join_all(asked).await;
    let mut found = HashMap::with_capacity(distinct.len());
    let asked = distinct.len();
    let mut absent = 0;
    for (title, answer) in distinct.into_iter().zip(answers) {
        match answer {
            Ok(summary) => drop(found.insert(title.clone(), summary)),
            // A page without a summary is left out, as in the original; only a failure is worth a word.
            Err(fault) if fault.is_absence() => absent += 1,
            Err(fault) => trace.failure("summaries", &fault),
        }
    }
    if found.is_empty() && absent == asked && asked >= SUSPICIOUS {
        let fault = Fault::internal(&format!("none of {asked} pages has a summary"));
        trace.failures("summaries", u32::try_from(asked).unwrap_or(u32::MAX), &fault);
    }
    found
}
