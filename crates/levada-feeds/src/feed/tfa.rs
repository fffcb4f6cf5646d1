//! Today's featured article (contract §2.1).

use super::dish::{Dish, Refusal, json};
use super::kitchen::Kitchen;
use crate::date::FeedDate;
use crate::http::Problem;
use crate::parse::featured;
use crate::upstream::hex;
use crate::wiki::{Ask, Trace, in_time};
use sha2::{Digest, Sha256};
use std::sync::Arc;

impl Kitchen {
    pub(super) async fn tfa(
        &self,
        domain: &str,
        date: FeedDate,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Dish, Refusal> {
        let rules = self.rules();
        let Some(language) = rules.featured(domain) else {
            return Err(Problem::unsupported().into());
        };
        let site = self.wiki.siteinfo(domain, ask).await?;
        let varies = site.variants.len() > 1;
        let special = language.feed_item_title(&site, date);
        let page = self.wiki.special_page(domain, &special, ask, trace).await?;
        let (html, known) = (Arc::clone(&page.html), Arc::clone(&site));
        let (title, notes) = self.off_thread(move || featured::parse(&html, &known)).await?;
        let Some(title) = title else {
            return Ok(Dish::nothing(varies, notes));
        };
        let params = [
            ("action", "query"),
            ("prop", "pageimages"),
            ("piprop", "thumbnail|original"),
            ("pithumbsize", "960"),
            ("pilicense", "any"),
            ("titles", title.as_str()),
        ];
        let images = self.wiki.query(domain, title.as_str(), &params, ask, trace);
        let (summary, images) = tokio::join!(
            self.wiki.summary(domain, title.as_str(), ask, trace),
            in_time(ask.pieces_by, images)
        );
        let images_came = images.is_ok();
        let images = match images {
            Ok(body) => featured::page_images(&body),
            Err(fault) => {
                if !fault.is_absence() {
                    trace.failure("images", &fault);
                }
                None
            }
        };
        let summary = match summary {
            Ok(summary) => summary,
            // The original crashes when only the summary is missing (W6).
            Err(fault) if self.config.compat && images_came => {
                return Err(Problem::internal("TypeError", &fault.reason()).into());
            }
            // An article without a summary is nothing to feature; a summary that could not be had is a failure.
            Err(fault) if fault.is_absence() || self.config.compat => {
                return Ok(Dish::nothing(varies, notes));
            }
            Err(fault) => return Err(fault.into()),
        };
        let summary = match images {
            Some(images) => summary.with_images(&images),
            None => summary,
        };
        Ok(Dish {
            json: Some(json(&summary)?),
            items: 1,
            id: hex(&Sha256::digest(title.as_str().as_bytes())[..20]),
            varies,
            notes,
        })
    }
}
