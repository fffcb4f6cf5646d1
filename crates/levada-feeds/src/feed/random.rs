//! Random titles (contract §2.9).
//!
//! One answer of the wiki has twelve candidates, and the best of them are equally good; they are handed out one after
//! the other before the wiki is asked again, and the next batch is fetched before the last is gone. When the wiki does
//! not answer, titles that were handed out before are handed out again.

use super::dish::Refusal;
use super::kitchen::{Kitchen, lost};
use crate::http::Problem;
use crate::model::DbTitle;
use crate::note::original_error;
use crate::parse::random;
use crate::wiki::{Ask, Fault, in_time};
use parking_lot::Mutex;
use rand::seq::{IndexedRandom, SliceRandom};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Titles kept per wiki.
const TITLES: usize = 64;
/// Wikis with titles in store. Others are asked each time.
const WIKIS: usize = 512;
/// Below this many titles a new batch is fetched in the background.
const LOW: usize = 4;

/// Titles with the time at which the wiki gave them, milliseconds since the epoch.
type Titles = VecDeque<(i64, DbTitle)>;

/// The titles of one wiki.
#[derive(Default)]
struct Lot {
    /// To be handed out.
    unspent: Titles,
    /// Handed out or too old: for an outage.
    spent: Titles,
}

impl Lot {
    fn spend(&mut self) -> Option<(i64, DbTitle)> {
        let drawn = self.unspent.pop_front()?;
        if self.spent.len() >= TITLES {
            self.spent.pop_front();
        }
        self.spent.push_back(drawn.clone());
        Some(drawn)
    }
}

/// Drawn titles by wiki.
#[derive(Default)]
pub(crate) struct Urn(Mutex<HashMap<String, Lot>>);

impl Urn {
    /// The next title that was given since then, and how many are left.
    fn draw(&self, domain: &str, since_ms: i64) -> Option<(DbTitle, usize)> {
        let mut urns = self.0.lock();
        let lot = urns.get_mut(domain)?;
        while let Some((drawn_ms, title)) = lot.spend() {
            if drawn_ms >= since_ms {
                return Some((title, lot.unspent.len()));
            }
        }
        None
    }

    /// A title that was handed out before, the one longest ago first.
    fn draw_again(&self, domain: &str, since_ms: i64) -> Option<DbTitle> {
        let mut urns = self.0.lock();
        let lot = urns.get_mut(domain)?;
        lot.spent.retain(|(drawn_ms, _)| *drawn_ms >= since_ms);
        lot.spent.rotate_left(usize::from(lot.spent.len() > 1));
        lot.spent.back().map(|(_, title)| title.clone())
    }

    /// Whether there is room for the titles of that wiki.
    fn takes(&self, domain: &str) -> bool {
        let urns = self.0.lock();
        urns.len() < WIKIS || urns.contains_key(domain)
    }

    fn fill(&self, domain: &str, now_ms: i64, titles: impl IntoIterator<Item = DbTitle>) {
        let mut urns = self.0.lock();
        if urns.len() >= WIKIS && !urns.contains_key(domain) {
            return;
        }
        let unspent = &mut urns.entry(domain.to_owned()).or_default().unspent;
        let room = TITLES.saturating_sub(unspent.len());
        unspent.extend(titles.into_iter().take(room).map(|title| (now_ms, title)));
    }
}

impl Kitchen {
    /// A random article of a wiki.
    pub(crate) async fn random(self: &Arc<Self>, domain: &str, ask: &Ask) -> Result<DbTitle, Refusal> {
        let since = ask.now_ms - i64::from(self.config.fresh.random) * 1000;
        if let Some((title, left)) = self.urn.draw(domain, since) {
            if left < LOW {
                let (kitchen, wiki, ask) = (Arc::clone(self), domain.to_owned(), ask.clone());
                self.drawings.launch(domain.to_owned(), move || async move {
                    kitchen.draw_batch(&wiki, &ask).await
                });
            }
            return Ok(title);
        }
        // Who comes at the same time shares an answer of the wiki, and takes turns when it is not enough for all.
        let drawn = loop {
            let (kitchen, wiki, own) = (Arc::clone(self), domain.to_owned(), ask.clone());
            let drawing = self.drawings.join(domain.to_owned(), move || async move {
                kitchen.draw_batch(&wiki, &own).await
            });
            let drawn = match tokio::time::timeout_at(ask.pieces_by, drawing).await {
                Ok(Some(drawn)) => drawn,
                Ok(None) => Err(lost().into()),
                Err(_) => Err(Fault::late().into()),
            };
            match drawn {
                Ok(titles) => {
                    if let Some((title, _)) = self.urn.draw(domain, since) {
                        return Ok(title);
                    }
                    // Where the urn takes no more wikis, the answer itself has to do.
                    if titles.is_empty() || !self.urn.takes(domain) {
                        break Ok(titles.choose(&mut rand::rng()).cloned());
                    }
                }
                Err(refusal) => break Err(refusal),
            }
        };
        match drawn {
            Ok(Some(title)) => Ok(title),
            Ok(None) => Err(Problem::not_found("The wiki has no article to choose from.").into()),
            Err(refusal) if self.config.compat => Err(refusal),
            Err(refusal) => {
                let since = ask.now_ms - i64::from(self.config.cache.stale_if_error_s) * 1000;
                self.urn.draw_again(domain, since).ok_or(refusal)
            }
        }
    }

    /// Fills the urn with the candidates of one answer, and gives them.
    pub(crate) async fn draw_batch(&self, domain: &str, ask: &Ask) -> Result<Arc<[DbTitle]>, Refusal> {
        let titles = self.batch(domain, ask).await?;
        self.urn.fill(domain, ask.now_ms, titles.iter().cloned());
        Ok(titles.into())
    }

    /// The best candidates of one answer, in no particular order.
    async fn batch(&self, domain: &str, ask: &Ask) -> Result<Vec<DbTitle>, Refusal> {
        const PARAMS: [(&str, &str); 6] = [
            ("action", "query"),
            ("generator", "random"),
            ("grnfilterredir", "nonredirects"),
            ("grnlimit", "12"),
            ("grnnamespace", "0"),
            ("prop", "description|pageprops"),
        ];
        let (body, site) = tokio::join!(
            self.wiki.ask_anew(domain, &PARAMS, ask),
            in_time(ask.site_by, self.wiki.siteinfo(domain, ask))
        );
        let body = body?;
        // The names of namespaces matter little here: only articles are drawn.
        let site = match site {
            Ok(site) => site,
            Err(fault) if self.config.compat => return Err(fault.into()),
            Err(_) => Arc::default(),
        };
        let (candidates, notes) = random::parse(&body, &self.rules(), &site, self.quirks);
        if self.config.compat
            && let Some(error) = original_error(&notes)
        {
            return Err(Problem::internal(error.as_str(), "The upstream data is not as expected").into());
        }
        let best = candidates.iter().map(|candidate| candidate.score).max();
        let mut titles: Vec<DbTitle> = candidates
            .into_iter()
            .filter(|candidate| Some(candidate.score) == best)
            .map(|candidate| candidate.title)
            .collect();
        if titles.is_empty() && !notes.is_empty() {
            return Err(Fault::internal(&format!("no random article: {}", notes[0])).into());
        }
        titles.shuffle(&mut rand::rng());
        Ok(titles)
    }
}
