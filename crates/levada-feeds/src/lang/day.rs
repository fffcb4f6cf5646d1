//! The table of on this day: page titles, section ids and the grammar of an item.

use regex::Regex;
use serde::Deserialize;

use super::compile::{Selector, pattern};
use super::domain::{Domains, Wikis};
use super::error::{Place, RulesError};
use super::table::{Entry, entries};
use crate::date::MonthDay;
use crate::model::{DbTitle, OnThisDayKind};
use crate::parse::Compat;

/// Where selected items usually are (contract §2.6).
const SELECTED: &str = "body > ul li, section > ul li";

/// How a wiki spells its days.
#[derive(Clone, Debug)]
pub struct DayLang {
    /// Language code of the entry.
    pub lang: String,
    pub(super) wikis: Wikis,
    day_page: String,
    original_day_page: String,
    selected_page: String,
    first_day: Option<String>,
    selected_first_day_months: Option<Vec<u8>>,
    months: [String; 12],
    births: Vec<String>,
    deaths: Vec<String>,
    events: Vec<String>,
    holidays: Vec<String>,
    fixed: Grammar,
    original: Grammar,
}

/// How items of a wiki are found and read.
#[derive(Clone, Debug)]
pub struct Grammar {
    pub(crate) selected: Selector,
    pub(crate) selected_lines: bool,
    pub(crate) line: Regex,
    pub(crate) selected_line: Regex,
    pub(crate) year_word: Option<String>,
    pub(crate) year_page: Option<String>,
    pub(crate) year_page_bc: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    lang: String,
    #[serde(default)]
    domains: Domains,
    day_page: String,
    original_day_page: Option<String>,
    selected_page: String,
    first_day: Option<String>,
    selected_first_day_months: Option<Vec<u8>>,
    months: [String; 12],
    births: Vec<String>,
    deaths: Vec<String>,
    events: Vec<String>,
    holidays: Vec<String>,
    selected: Option<String>,
    original_selected: Option<String>,
    #[serde(default)]
    selected_lines: bool,
    line: String,
    original_line: Option<String>,
    selected_line: Option<String>,
    original_selected_line: Option<String>,
    year_word: Option<String>,
    year_page: Option<String>,
    year_page_bc: Option<String>,
}

impl Entry for Raw {
    fn lang(&self) -> &str {
        &self.lang
    }
}

impl DayLang {
    /// The title of the page of a day.
    pub fn day_title(&self, day: MonthDay, compat: &Compat) -> DbTitle {
        let page = if compat.original_grammar {
            &self.original_day_page
        } else {
            &self.day_page
        };
        self.title(page, day, self.first_day.as_deref())
    }

    /// The title of the page of selected events.
    pub fn selected_title(&self, day: MonthDay) -> DbTitle {
        let months = self.selected_first_day_months.as_deref();
        let special = months.is_none_or(|months| months.contains(&day.month));
        self.title(
            &self.selected_page,
            day,
            self.first_day.as_deref().filter(|_| special),
        )
    }

    /// The ids of the headings of a list; none for the selected events.
    pub(crate) fn heading_ids(&self, kind: OnThisDayKind) -> &[String] {
        match kind {
            OnThisDayKind::Selected => &[],
            OnThisDayKind::Events => &self.events,
            OnThisDayKind::Births => &self.births,
            OnThisDayKind::Deaths => &self.deaths,
            OnThisDayKind::Holidays => &self.holidays,
        }
    }

    /// How items are found and read.
    pub(crate) fn grammar(&self, compat: &Compat) -> &Grammar {
        if compat.original_grammar {
            &self.original
        } else {
            &self.fixed
        }
    }

    fn title(&self, page: &str, day: MonthDay, first_day: Option<&str>) -> DbTitle {
        let month = usize::from(day.month)
            .checked_sub(1)
            .and_then(|at| self.months.get(at));
        let month = month.map_or("", String::as_str);
        let number = day.day.to_string();
        let number = first_day.filter(|_| day.day == 1).unwrap_or(&number);
        let title = page
            .replace("{M}", month)
            .replace("{nn}", &format!("{:02}", day.month))
            .replace("{n}", &day.month.to_string())
            .replace("{d}", number);
        DbTitle::new(title)
    }
}

pub(super) fn load(file: &'static str, base: &str, over: Option<&str>) -> Result<Vec<DayLang>, RulesError> {
    let raw: Vec<Raw> = entries(file, base, over)?;
    raw.into_iter().map(|raw| day_lang(file, raw)).collect()
}

fn day_lang(file: &'static str, raw: Raw) -> Result<DayLang, RulesError> {
    let lang = raw.lang.clone();
    let place = Place { file, entry: &lang };
    let fixed = Grammar {
        selected: Selector::new(raw.selected.as_deref().unwrap_or(SELECTED), place, "selected")?,
        selected_lines: raw.selected_lines,
        line: item_pattern(&raw.line, place, "line")?,
        selected_line: match &raw.selected_line {
            Some(line) => item_pattern(line, place, "selected_line")?,
            None => item_pattern(&raw.line, place, "line")?,
        },
        year_word: raw.year_word,
        year_page: raw.year_page,
        year_page_bc: raw.year_page_bc,
    };
    let mut original = fixed.clone();
    original.year_page = None;
    original.year_page_bc = None;
    original.selected_lines = false;
    if let Some(selected) = &raw.original_selected {
        original.selected = Selector::new(selected, place, "original_selected")?;
    }
    if let Some(line) = &raw.original_line {
        original.line = item_pattern(line, place, "original_line")?;
        original.selected_line = original.line.clone();
    }
    if let Some(line) = &raw.original_selected_line {
        original.selected_line = item_pattern(line, place, "original_selected_line")?;
    }
    for (key, ids) in [
        ("births", &raw.births),
        ("deaths", &raw.deaths),
        ("events", &raw.events),
        ("holidays", &raw.holidays),
    ] {
        if ids.iter().any(String::is_empty) {
            return Err(place.error(key, "an id is empty"));
        }
    }
    Ok(DayLang {
        wikis: Wikis::new(&raw.lang, raw.domains),
        lang: raw.lang,
        original_day_page: raw.original_day_page.unwrap_or_else(|| raw.day_page.clone()),
        day_page: raw.day_page,
        selected_page: raw.selected_page,
        first_day: raw.first_day,
        selected_first_day_months: raw.selected_first_day_months,
        months: raw.months,
        births: raw.births,
        deaths: raw.deaths,
        events: raw.events,
        holidays: raw.holidays,
        fixed,
        original,
    })
}

/// A pattern that has what the parser reads from it.
fn item_pattern(source: &str, place: Place<'_>, key: &'static str) -> Result<Regex, RulesError> {
    let regex = pattern(source, place, key)?;
    for group in ["year", "text"] {
        if !regex.capture_names().flatten().any(|name| name == group) {
            return Err(place.error(key, format!("the pattern has no group {group:?}")));
        }
    }
    Ok(regex)
}
