//! Most read: choosing rows of the top list and merging them (contract §2.3).

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::Value;

use super::title::{TitleError, normalize};
use crate::lang::Rules;
use crate::model::{DbTitle, MostRead, MostReadArticle, Siteinfo, Summary, TopRow, ViewDay};
use crate::note::{Note, NoteKind, Notes, OriginalError};

/// Most days of a view history that are kept; five are asked for.
const MAX_HISTORY_DAYS: usize = 60;

/// A day's top list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopDay {
    /// `YYYY-MM-DDZ`, of the list itself.
    pub date: String,
    /// Rows in the order of the list.
    pub rows: Vec<TopRow>,
}

#[derive(Deserialize)]
struct TopAnswer {
    items: Vec<TopItem>,
}

#[derive(Deserialize)]
struct TopItem {
    year: Value,
    month: Value,
    day: Value,
    articles: Vec<Value>,
}

/// Reads the answer of the pageview service. `None` when it has no list, where the original fails.
pub fn parse_top(body: &[u8]) -> (Option<TopDay>, Vec<Note>) {
    let mut notes = Notes::new();
    let answer: Result<TopAnswer, _> = serde_json::from_slice(body);
    let item = match answer {
        Ok(answer) => answer.items.into_iter().next(),
        Err(error) => {
            let error = error.to_string();
            notes.add_original(NoteKind::MalformedJson, OriginalError::TypeError, error);
            return (None, notes.finish());
        }
    };
    let Some(item) = item else {
        notes.add_original(NoteKind::NotFound, OriginalError::TypeError, "no items");
        return (None, notes.finish());
    };
    let mut rows = Vec::with_capacity(item.articles.len());
    for row in &item.articles {
        match top_row(row) {
            Some(row) => rows.push(row),
            None => notes.add(NoteKind::ItemDropped, row.to_string()),
        }
    }
    let part = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => format!("{:0>2}", other.to_string()),
    };
    let date = format!("{}-{}-{}Z", part(&item.year), part(&item.month), part(&item.day));
    (Some(TopDay { date, rows }), notes.finish())
}

fn top_row(row: &Value) -> Option<TopRow> {
    Some(TopRow {
        article: DbTitle::new(row.get("article")?.as_str()?),
        views: row.get("views")?.as_u64()?,
        rank: row.get("rank")?.as_u64()?,
    })
}

/// Chooses the rows that may become articles: the first rows of the list (filtered rows are not
/// made up for), articles only, nothing that is on a deny list.
pub fn select(top: &TopDay, rules: &Rules, site: &Siteinfo) -> (Vec<TopRow>, Vec<Note>) {
    let mut notes = Notes::new();
    let most_read = rules.most_read();
    let mut chosen = Vec::new();
    for row in top.rows.iter().take(most_read.max_rows) {
        let article = row.article.as_str();
        match normalize(article, site) {
            Err(TitleError::Utf8) => notes.add(NoteKind::TitleInvalid, article),
            Err(error) => notes.add_original(
                NoteKind::TitleInvalid,
                OriginalError::TitleError,
                format!("{error}: {article}"),
            ),
            Ok(title) => {
                let denied =
                    most_read.denies(&site.lang, title.db.as_str()) || most_read.denies(&site.lang, article);
                if title.ns != 0 || denied {
                    notes.add(NoteKind::RowFiltered, article);
                } else {
                    chosen.push(row.clone());
                }
            }
        }
    }
    (chosen, notes.finish())
}

#[derive(Deserialize)]
struct HistoryAnswer {
    items: Vec<HistoryItem>,
}

#[derive(Deserialize)]
struct HistoryItem {
    timestamp: String,
    views: u64,
}

/// Reads the view history of an article, in the order of the answer. `None` when it is not one.
pub fn parse_history(body: &[u8]) -> Option<Vec<ViewDay>> {
    let answer: HistoryAnswer = serde_json::from_slice(body).ok()?;
    let days = answer.items.into_iter().take(MAX_HISTORY_DAYS);
    Some(
        days.filter_map(|item| {
            Some(ViewDay {
                date: wire_date(&item.timestamp)?,
                views: item.views,
            })
        })
        .collect(),
    )
}

/// `2016042900` as `2016-04-29Z`.
fn wire_date(timestamp: &str) -> Option<String> {
    let digits = timestamp
        .get(..8)
        .filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
    Some(format!("{}-{}-{}Z", &digits[..4], &digits[4..6], &digits[6..]))
}

/// Merges rows with their summaries and histories: rows that lead to the same page become one with
/// the first rank and all views, and what is not an article, is the main page or is on a deny list
/// is dropped. Rows whose summary failed are not given.
pub fn merge(
    top: &TopDay,
    rows: Vec<(TopRow, Summary, Option<Vec<ViewDay>>)>,
    rules: &Rules,
    site: &Siteinfo,
) -> (MostRead, Vec<Note>) {
    let mut notes = Notes::new();
    let mut articles: Vec<MostReadArticle> = Vec::with_capacity(rows.len());
    let mut by_title: HashMap<DbTitle, usize> = HashMap::with_capacity(rows.len());
    for (row, summary, history) in rows {
        if history.is_none() {
            notes.add(NoteKind::HistoryMissing, row.article.as_str());
        }
        if let Some(&at) = by_title.get(summary.title()) {
            add(&mut articles[at], row.views, history, &mut notes);
            continue;
        }
        by_title.insert(summary.title().clone(), articles.len());
        articles.push(MostReadArticle {
            views: row.views,
            rank: row.rank,
            view_history: history,
            summary,
        });
    }
    let main_page = DbTitle::new(site.main_page.as_str()).as_str().to_lowercase();
    articles.retain(|article| {
        let summary = &article.summary;
        let title = summary.title().as_str();
        let canonical = summary.canonical().map_or(title, DbTitle::as_str);
        let keep = summary.namespace_id().unwrap_or(0) == 0
            && title.to_lowercase() != main_page
            && !rules.most_read().denies(&site.lang, canonical);
        if !keep {
            notes.add(NoteKind::RowFiltered, title);
        }
        keep
    });
    (
        MostRead {
            date: top.date.clone(),
            articles,
        },
        notes.finish(),
    )
}

/// Adds the views of another row of the same page, day by day where both have the day.
fn add(article: &mut MostReadArticle, views: u64, history: Option<Vec<ViewDay>>, notes: &mut Notes) {
    article.views = article.views.saturating_add(views);
    match (&mut article.view_history, history) {
        (Some(known), Some(other)) => {
            for day in known {
                let same = other.iter().find(|o| o.date == day.date);
                day.views = day.views.saturating_add(same.map_or(0, |o| o.views));
            }
        }
        (known @ None, other @ Some(_)) => *known = other,
        (Some(_), None) => {
            let title = article.summary.title().as_str();
            notes.add_original(NoteKind::HistoryMissing, OriginalError::TypeError, title);
        }
        (None, None) => {}
    }
}
