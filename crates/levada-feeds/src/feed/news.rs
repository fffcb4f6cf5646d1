//! In the news (contract §2.4) and did you know (§2.5).

use super::dish::{Dish, Refusal, json};
use super::hydrate;
use super::kitchen::Kitchen;
use crate::http::Problem;
use crate::note::original_error;
use crate::parse::{did_you_know, news};
use crate::wiki::{Ask, Trace};
use std::sync::Arc;

impl Kitchen {
    pub(super) async fn news(&self, domain: &str, ask: &Ask, trace: &Trace) -> Result<Dish, Refusal> {
        let rules = self.rules();
        let compat = self.quirks;
        let Some(title) = rules.news(domain, &compat).map(|language| language.page.clone()) else {
            return Err(Problem::unsupported().into());
        };
        let (site, page) = tokio::join!(
            self.site_or_default(domain, ask, trace),
            self.wiki.page(domain, &title, ask, trace)
        );
        let page = page?;
        let (html, wiki, known) = (Arc::clone(&page.html), domain.to_owned(), Arc::clone(&site));
        let (items, notes) = self
            .off_thread(move || match rules.news(&wiki, &compat) {
                Some(language) => news::parse(&html, language, &wiki, &known, compat),
                None => (Vec::new(), Vec::new()),
            })
            .await?;
        if self.config.compat
            && let Some(error) = original_error(&notes)
        {
            return Err(Problem::internal(error.as_str(), "The page is not as expected").into());
        }
        let titles = items.iter().flat_map(|item| &item.links);
        let summaries = hydrate::summaries(&self.wiki, domain, titles, ask, trace).await;
        let stories: Vec<_> = items
            .iter()
            .map(|item| item.hydrate(&|title| summaries.get(title).cloned(), !self.config.compat))
            .collect();
        Ok(Dish {
            json: Some(json(&stories)?),
            items: stories.len(),
            id: self.page_tag(&page),
            varies: site.variants.len() > 1,
            notes,
        })
    }

    pub(super) async fn dyk(&self, domain: &str, ask: &Ask, trace: &Trace) -> Result<Dish, Refusal> {
        let rules = self.rules();
        let Some(title) = rules.did_you_know(domain).map(|language| language.page.clone()) else {
            return Err(Problem::unsupported().into());
        };
        let (site, page) = tokio::join!(
            self.site_or_default(domain, ask, trace),
            self.wiki.page(domain, &title, ask, trace)
        );
        let page = page?;
        let (html, wiki, compat) = (Arc::clone(&page.html), domain.to_owned(), self.quirks);
        let (items, notes) = self
            .off_thread(move || match rules.did_you_know(&wiki) {
                Some(language) => did_you_know::parse(&html, language, &wiki, compat),
                None => (Vec::new(), Vec::new()),
            })
            .await?;
        Ok(Dish {
            json: Some(json(&items)?),
            items: items.len(),
            id: self.page_tag(&page),
            varies: site.variants.len() > 1,
            notes,
        })
    }
}
