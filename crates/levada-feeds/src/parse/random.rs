//! Random article: scoring candidates and choosing one (contract §2.9).

use serde::Deserialize;
use serde_json::Value;

use super::Compat;
use super::title::normalize;
use crate::lang::Rules;
use crate::model::{DbTitle, RandomCandidate, Siteinfo};
use crate::note::{Note, NoteKind, Notes, OriginalError};

/// For a page image.
const IMAGE: i64 = 2;
/// For a description.
const DESCRIPTION: i64 = 1;
/// For a disambiguation page or a list.
const UNWANTED: i64 = -10;

#[derive(Deserialize)]
struct Answer {
    query: Query,
}

#[derive(Deserialize)]
struct Query {
    pages: Vec<Page>,
}

#[derive(Deserialize)]
struct Page {
    title: String,
    description: Option<String>,
    #[serde(default)]
    pageprops: Value,
}

/// Reads the candidates and scores them. None at all is where the original fails.
pub fn parse(
    body: &[u8],
    rules: &Rules,
    site: &Siteinfo,
    compat: Compat,
) -> (Vec<RandomCandidate>, Vec<Note>) {
    let mut notes = Notes::new();
    let pages = match serde_json::from_slice::<Answer>(body) {
        Ok(answer) => answer.query.pages,
        Err(error) => {
            let error = error.to_string();
            notes.add_original(NoteKind::MalformedJson, OriginalError::TypeError, error);
            Vec::new()
        }
    };
    let mut candidates = Vec::with_capacity(pages.len());
    for page in pages {
        let score = score(&page, rules, compat);
        match normalize(&page.title, site) {
            Ok(title) => candidates.push(RandomCandidate {
                title: title.db,
                score,
            }),
            Err(error) => notes.add_original(
                NoteKind::TitleInvalid,
                OriginalError::TitleError,
                format!("{error}: {}", page.title),
            ),
        }
    }
    (candidates, notes.finish())
}

fn score(page: &Page, rules: &Rules, compat: Compat) -> i64 {
    let prop = |name: &str| page.pageprops.get(name);
    let description = page.description.as_deref().filter(|text| !text.is_empty());
    let mut score = 0;
    if prop("page_image").is_some() || prop("page_image_free").is_some() {
        score += IMAGE;
    }
    if description.is_some() {
        score += DESCRIPTION;
    }
    let random = rules.random();
    let unwanted = if compat.random_english_only {
        // MediaWiki sets the property to the empty string, which the original takes for false.
        let property = prop("disambiguation").and_then(Value::as_str);
        property.is_some_and(|text| !text.is_empty())
            || description.is_some_and(|text| random.unwanted_originally(text))
    } else {
        prop("disambiguation").is_some() || description.is_some_and(|text| random.unwanted(text))
    };
    score + if unwanted { UNWANTED } else { 0 }
}

/// Chooses among the best candidates by a random number: its remainder is the place.
pub fn choose(candidates: &[RandomCandidate], random: u64) -> Option<&DbTitle> {
    let best = candidates.iter().map(|candidate| candidate.score).max()?;
    let best: Vec<_> = candidates
        .iter()
        .filter(|candidate| candidate.score == best)
        .collect();
    let place = random.checked_rem(best.len() as u64)?;
    best.get(usize::try_from(place).ok()?)
        .map(|candidate| &candidate.title)
}
