//! On this day (contract §2.6).
//!
//! The page of a day is read once, whoever asks for which of its four lists; each list is hydrated on its own, so that
//! whoever wants the events does not wait for the births.

use super::dish::{Dish, Refusal, json};
use super::hydrate;
use super::kitchen::{Kitchen, lost};
use crate::date::MonthDay;
use crate::http::Problem;
use crate::model::{DayEvent, DayPage, DbTitle, OnThisDayKind, Siteinfo};
use crate::note::{Note, original_error};
use crate::parse::on_this_day;
use crate::wiki::{Ask, Fault, Page, Trace};
use std::sync::Arc;

/// A day page as read, with what was noticed.
pub(super) type ReadDay = Result<Arc<(DayPage, Vec<Note>)>, Fault>;

impl Kitchen {
    pub(super) async fn on_this_day(
        &self,
        domain: &str,
        kind: OnThisDayKind,
        day: MonthDay,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Dish, Refusal> {
        let rules = self.rules();
        let compat = self.quirks;
        let Some(language) = rules.on_this_day(domain, &compat) else {
            return Err(Problem::unsupported().into());
        };
        let title: DbTitle = match kind {
            OnThisDayKind::Selected => language.selected_title(day),
            _ => language.day_title(day, &compat),
        };
        let (site, page) = tokio::join!(
            self.site_or_default(domain, ask, trace),
            self.wiki.page(domain, title.as_str(), ask, trace)
        );
        let page = page?;
        let (events, notes) = match kind {
            OnThisDayKind::Selected => self.read_selected(domain, &page, &site).await?,
            _ => {
                let read = self.read_day(domain, &page, &site).await?;
                (read.0.list(kind).unwrap_or_default().to_vec(), read.1.clone())
            }
        };
        if self.config.compat
            && let Some(error) = original_error(&notes)
        {
            return Err(Problem::internal(error.as_str(), "The page is not as expected").into());
        }
        let titles = events.iter().flat_map(|event| &event.pages);
        let summaries = hydrate::summaries(&self.wiki, domain, titles, ask, trace).await;
        let items = events.len();
        // A large list is a megabyte of JSON.
        let body = self
            .off_thread(move || {
                let hydrated: Vec<_> = events
                    .iter()
                    .map(|event| event.hydrate(&|title| summaries.get(title).cloned()))
                    .collect();
                json(&hydrated)
            })
            .await??;
        Ok(Dish {
            json: Some(body),
            items,
            id: self.page_tag(&page),
            varies: !site.variants.is_empty() && (self.config.compat || site.variants.len() > 1),
            notes,
        })
    }

    /// Reads a day page, once for everybody who wants it and for as long as it is the same page.
    async fn read_day(&self, domain: &str, page: &Page, site: &Arc<Siteinfo>) -> ReadDay {
        // The same text at the same place is the same page; a fetched page gets a place of its own.
        let is_known = self.is_known(site);
        let key = format!(
            "{domain}|{}|{is_known}|{:p}|{}",
            self.generation(),
            Arc::as_ptr(&page.html),
            page.html.len()
        );
        if let Some((html, read)) = self.days.get(&key)
            && Arc::ptr_eq(&html, &page.html)
        {
            return Ok(read);
        }
        let (rules, compat, days) = (self.rules(), self.quirks, self.days.clone());
        let (wiki, html, known) = (domain.to_owned(), Arc::clone(&page.html), Arc::clone(site));
        let (named, work) = (key.clone(), Arc::clone(&self.work));
        let flight = self.readings.join(key, move || async move {
            let text = Arc::clone(&html);
            let read = work
                .run(move || match rules.on_this_day(&wiki, &compat) {
                    Some(language) => on_this_day::parse_day(&text, language, &known, compat),
                    None => (DayPage::default(), Vec::new()),
                })
                .await;
            let read = Arc::new(read.ok_or_else(lost)?);
            // What was read without knowing the wiki's namespaces is read again when they are known.
            if is_known {
                days.insert(named, (html, Arc::clone(&read)));
            }
            Ok(read)
        });
        flight
            .await
            .unwrap_or_else(|| Err(Fault::internal("reading the day page ended by a panic")))
    }

    async fn read_selected(
        &self,
        domain: &str,
        page: &Page,
        site: &Arc<Siteinfo>,
    ) -> Result<(Vec<DayEvent>, Vec<Note>), Fault> {
        let (rules, compat) = (self.rules(), self.quirks);
        let (wiki, html, known) = (domain.to_owned(), Arc::clone(&page.html), Arc::clone(site));
        self.off_thread(move || match rules.on_this_day(&wiki, &compat) {
            Some(language) => on_this_day::parse_selected(&html, language, &known, compat),
            None => (Vec::new(), Vec::new()),
        })
        .await
    }
}
