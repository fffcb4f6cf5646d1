//! Most read (contract §2.3).

use super::dish::{Dish, Refusal, json};
use super::kitchen::Kitchen;
use crate::date::FeedDate;
use crate::http::Problem;
use crate::lang::pageview_project;
use crate::note::original_error;
use crate::parse::most_read;
use crate::wiki::{Ask, Fault, Trace, in_time};
use futures_util::future::join_all;

/// Days of view history per row, the day itself included.
const HISTORY_DAYS: i32 = 5;

impl Kitchen {
    pub(super) async fn most_read(
        &self,
        domain: &str,
        date: FeedDate,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Dish, Refusal> {
        let rules = self.rules();
        if !rules.most_read_supported(domain) {
            return Ok(Dish::nothing(false, Vec::new()));
        }
        let project = pageview_project(domain);
        let (top, site) = tokio::join!(
            self.wiki.top(&project, date, ask, trace),
            self.wiki.siteinfo(domain, ask)
        );
        let (top, site) = (top?, site?);
        let varies = site.variants.len() > 1;
        let (top, mut notes) = most_read::parse_top(&top);
        let Some(top) = top else {
            // `items: []`: a list that is not there yet. The original crashes on it.
            if self.config.compat {
                return Err(Problem::internal("TypeError", "Cannot read properties of undefined").into());
            }
            return Err(Problem::not_found("There is no list of most read pages for this date.").into());
        };
        let (rows, noted) = most_read::select(&top, &rules, &site);
        notes.extend(noted);
        let from = date.plus_days(1 - HISTORY_DAYS);
        let asked = rows.iter().map(|row| {
            let (article, project) = (row.article.as_ref(), &project);
            async move {
                let history = self.wiki.history(project, article, (from, date), ask, trace);
                tokio::join!(
                    in_time(ask.pieces_by, self.wiki.summary(domain, article, ask, trace)),
                    in_time(ask.pieces_by, history)
                )
            }
        });
        let answers = join_all(asked).await;
        let had_rows = !rows.is_empty();
        let mut merged = Vec::with_capacity(rows.len());
        for (row, (summary, history)) in rows.into_iter().zip(answers) {
            let history = match history {
                Ok(body) => most_read::parse_history(&body),
                Err(fault) => {
                    if !fault.is_absence() {
                        trace.failure("history", &fault);
                    }
                    None
                }
            };
            match summary {
                Ok(summary) => merged.push((row, summary, history)),
                Err(fault) if fault.is_absence() => {}
                Err(fault) => trace.failure("summaries", &fault),
            }
        }
        // One page without a summary is a page that is gone; all of them are a summary service that is not there.
        if had_rows && merged.is_empty() {
            trace.failure("items", &Fault::internal("no page of the list has a summary"));
        }
        let (feed, noted) = most_read::merge(&top, merged, &rules, &site);
        notes.extend(noted);
        if self.config.compat
            && let Some(error) = original_error(&notes)
        {
            return Err(Problem::internal(error.as_str(), "The upstream data is not as expected").into());
        }
        Ok(Dish {
            items: feed.articles.len(),
            json: Some(json(&feed)?),
            id: date.compact(),
            varies,
            notes,
        })
    }
}
