//! Picture of the day (contract §2.2).

use super::dish::{Dish, Refusal, json};
use super::kitchen::Kitchen;
use crate::date::FeedDate;
use crate::http::Problem;
use crate::model::{PictureEntity, PictureText};
use crate::note::original_error;
use crate::parse::picture::{self, PictureQuery};
use crate::wiki::{Ask, Trace, in_time};

impl Kitchen {
    pub(super) async fn image(
        &self,
        domain: &str,
        date: FeedDate,
        ask: &Ask,
        trace: &Trace,
    ) -> Result<Dish, Refusal> {
        let commons = self.wiki.commons_domain(domain);
        let template = picture::template_title(date);
        let params = [
            ("action", "query"),
            ("generator", "images"),
            ("prop", "imageinfo|revisions"),
            (
                "iiextmetadatafilter",
                "Artist|LicenseShortName|License|LicenseUrl|Credit",
            ),
            ("iimetadataversion", "latest"),
            ("iiprop", "url|dimensions|extmetadata"),
            ("iiurlwidth", "640"),
            ("rawcontinue", ""),
            ("titles", template.as_str()),
        ];
        let body = self.wiki.query(&commons, &template, &params, ask, trace).await?;
        let (query, mut notes) = picture::parse_query(&body);
        let file = match query {
            PictureQuery::Found(file) => file,
            PictureQuery::NoTemplate if self.config.compat => {
                return Err(Problem::internal("TypeError", "Cannot read properties of undefined").into());
            }
            PictureQuery::NoTemplate | PictureQuery::Missing => return Err(Problem::no_picture().into()),
        };
        let params = [
            ("action", "wbgetentities"),
            ("sites", "commonswiki"),
            ("props", "labels|info"),
            ("titles", file.title.as_str()),
        ];
        let entity = self.wiki.query(&commons, &file.title, &params, ask, trace);
        let (page, entity) = tokio::join!(
            in_time(ask.pieces_by, self.wiki.page(&commons, &file.title, ask, trace)),
            in_time(ask.pieces_by, entity)
        );
        let (revision, text) = match page {
            Ok(page) => {
                let revision = if self.config.compat {
                    page.id
                } else {
                    page.revision
                };
                let (text, noted) = self
                    .off_thread(move || picture::parse_descriptions(&page.html))
                    .await?;
                notes.extend(noted);
                (revision, text)
            }
            // A picture without its description is still the picture of the day; the original gives an error.
            Err(fault) if self.config.compat => return Err(fault.into()),
            Err(fault) => {
                trace.failure("description", &fault);
                (0, PictureText::default())
            }
        };
        let entity = match entity {
            Ok(body) => {
                let (entity, noted) = picture::parse_entity(&body);
                notes.extend(noted);
                entity
            }
            Err(fault) if self.config.compat => return Err(fault.into()),
            Err(fault) => {
                if !fault.is_absence() {
                    trace.failure("captions", &fault);
                }
                PictureEntity::default()
            }
        };
        if self.config.compat
            && let Some(error) = original_error(&notes)
        {
            return Err(Problem::internal(error.as_str(), "Cannot read properties of undefined").into());
        }
        let picture = picture::assemble(domain, &file, &text, &entity);
        Ok(Dish {
            json: Some(json(&picture)?),
            items: 1,
            id: revision.to_string(),
            varies: false,
            notes,
        })
    }
}
