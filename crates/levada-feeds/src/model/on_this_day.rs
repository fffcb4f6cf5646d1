//! On this day: births, deaths, events, holidays, selected events, and all of them.

use std::fmt;
use std::str::FromStr;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::news::summaries;
use super::summary::Summary;
use super::title::DbTitle;

/// The five lists of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnThisDayKind {
    /// Events chosen by editors, from a page of its own.
    Selected,
    /// Events, from the page of the day.
    Events,
    /// Births, from the page of the day.
    Births,
    /// Deaths, from the page of the day.
    Deaths,
    /// Holidays and observances, from the page of the day.
    Holidays,
}

impl OnThisDayKind {
    /// All five, in the order of [`KeyOrder::Internal`].
    pub const ALL: [Self; 5] = [
        Self::Selected,
        Self::Events,
        Self::Births,
        Self::Deaths,
        Self::Holidays,
    ];

    /// The name in paths and as a JSON key.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Selected => "selected",
            Self::Events => "events",
            Self::Births => "births",
            Self::Deaths => "deaths",
            Self::Holidays => "holidays",
        }
    }
}

impl fmt::Display for OnThisDayKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OnThisDayKind {
    type Err = ();

    /// The lower-case name; anything else is not a list of a day.
    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name).ok_or(())
    }
}

/// An event or a holiday as parsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayEvent {
    /// What happened, plain text.
    pub text: String,
    /// Titles of the pages it links to, in order.
    pub pages: Vec<DbTitle>,
    /// The year, negative before the common era; holidays have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub year: Option<i64>,
}

impl DayEvent {
    /// Puts summaries in place of titles: those without one are left out, and of several with the
    /// same title the first is kept (contract §2.6).
    pub fn hydrate(&self, lookup: &dyn Fn(&DbTitle) -> Option<Summary>) -> Event {
        Event {
            text: self.text.clone(),
            pages: summaries(&self.pages, lookup, true),
            year: self.year,
        }
    }
}

/// The four lists of a day page, from one reading of it; each sorted as on the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayPage {
    /// Births, latest year first.
    pub births: Vec<DayEvent>,
    /// Deaths, latest year first.
    pub deaths: Vec<DayEvent>,
    /// Events, latest year first.
    pub events: Vec<DayEvent>,
    /// Holidays in the order of the page, without years.
    pub holidays: Vec<DayEvent>,
}

impl DayPage {
    /// Bytes that it takes in memory.
    pub(crate) fn weight(&self) -> usize {
        let lists = [&self.births, &self.deaths, &self.events, &self.holidays];
        let event = |event: &DayEvent| {
            let pages: usize = event.pages.iter().map(|title| title.as_str().len() + 32).sum();
            size_of::<DayEvent>() + event.text.len() + pages
        };
        lists.into_iter().flatten().map(event).sum()
    }

    /// One of the lists; `None` for [`OnThisDayKind::Selected`], which has a page of its own.
    pub fn list(&self, kind: OnThisDayKind) -> Option<&[DayEvent]> {
        match kind {
            OnThisDayKind::Selected => None,
            OnThisDayKind::Events => Some(&self.events),
            OnThisDayKind::Births => Some(&self.births),
            OnThisDayKind::Deaths => Some(&self.deaths),
            OnThisDayKind::Holidays => Some(&self.holidays),
        }
    }
}

/// An event or a holiday on the wire: `text`, `pages`, `year`.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// What happened, plain text.
    pub text: String,
    /// Summaries of the pages it links to.
    pub pages: Vec<Summary>,
    /// The year; absent from holidays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year: Option<i64>,
}

/// The answer for one list: an object with the list's name as its only key.
#[derive(Clone, Debug)]
pub struct OnThisDayOne {
    /// Which list.
    pub kind: OnThisDayKind,
    /// Its items.
    pub items: Vec<Event>,
}

impl Serialize for OnThisDayOne {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry(self.kind.as_str(), &self.items)?;
        map.end()
    }
}

/// In which order the five keys of [`OnThisDayAll`] go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum KeyOrder {
    /// `selected, events, births, deaths, holidays`: the internal route 7.
    #[default]
    Internal,
    /// `selected, births, deaths, events, holidays`: the aggregated and public routes.
    Public,
}

/// The answer with all five lists. A list that could not be built is `None`: left out by default,
/// or an empty object when [`OnThisDayAll::failed_as_object`] is set, as the original's aggregated
/// route has it (contract §2.11).
#[derive(Clone, Debug, Default)]
pub struct OnThisDayAll {
    /// Selected events.
    pub selected: Option<Vec<Event>>,
    /// Events.
    pub events: Option<Vec<Event>>,
    /// Births.
    pub births: Option<Vec<Event>>,
    /// Deaths.
    pub deaths: Option<Vec<Event>>,
    /// Holidays.
    pub holidays: Option<Vec<Event>>,
    /// The order of the keys.
    pub order: KeyOrder,
    /// Write `{}` for a list that is `None`.
    pub failed_as_object: bool,
}

impl OnThisDayAll {
    /// One of the lists.
    pub fn get(&self, kind: OnThisDayKind) -> Option<&Vec<Event>> {
        match kind {
            OnThisDayKind::Selected => self.selected.as_ref(),
            OnThisDayKind::Events => self.events.as_ref(),
            OnThisDayKind::Births => self.births.as_ref(),
            OnThisDayKind::Deaths => self.deaths.as_ref(),
            OnThisDayKind::Holidays => self.holidays.as_ref(),
        }
    }

    /// Sets one of the lists.
    pub fn set(&mut self, kind: OnThisDayKind, items: Option<Vec<Event>>) {
        *match kind {
            OnThisDayKind::Selected => &mut self.selected,
            OnThisDayKind::Events => &mut self.events,
            OnThisDayKind::Births => &mut self.births,
            OnThisDayKind::Deaths => &mut self.deaths,
            OnThisDayKind::Holidays => &mut self.holidays,
        } = items;
    }
}

impl Serialize for OnThisDayAll {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use OnThisDayKind::{Births, Deaths, Events, Holidays, Selected};
        let keys = match self.order {
            KeyOrder::Internal => [Selected, Events, Births, Deaths, Holidays],
            KeyOrder::Public => [Selected, Births, Deaths, Events, Holidays],
        };
        let mut map = serializer.serialize_map(None)?;
        for kind in keys {
            match self.get(kind) {
                Some(items) => map.serialize_entry(kind.as_str(), items)?,
                None if self.failed_as_object => {
                    map.serialize_entry(kind.as_str(), &EmptyObject {})?;
                }
                None => {}
            }
        }
        map.end()
    }
}

/// `{}`.
#[derive(Serialize)]
struct EmptyObject {}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(year: Option<i64>) -> Event {
        Event {
            text: "x".into(),
            pages: Vec::new(),
            year,
        }
    }

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).expect("serialises")
    }

    #[test]
    fn one_list_is_an_object_with_one_key_and_holidays_have_no_year() {
        let one = OnThisDayOne {
            kind: OnThisDayKind::Holidays,
            items: vec![event(None)],
        };
        assert_eq!(json(&one), r#"{"holidays":[{"text":"x","pages":[]}]}"#);
        let one = OnThisDayOne {
            kind: OnThisDayKind::Births,
            items: vec![event(Some(-58))],
        };
        assert_eq!(json(&one), r#"{"births":[{"text":"x","pages":[],"year":-58}]}"#);
    }

    #[test]
    fn case_95_and_111_key_orders_and_failed_parts() {
        let mut all = OnThisDayAll::default();
        for kind in OnThisDayKind::ALL {
            all.set(kind, Some(Vec::new()));
        }
        assert_eq!(
            json(&all),
            r#"{"selected":[],"events":[],"births":[],"deaths":[],"holidays":[]}"#
        );
        all.order = KeyOrder::Public;
        all.set(OnThisDayKind::Deaths, None);
        assert_eq!(
            json(&all),
            r#"{"selected":[],"births":[],"events":[],"holidays":[]}"#
        );
        all.failed_as_object = true;
        assert_eq!(
            json(&all),
            r#"{"selected":[],"births":[],"deaths":{},"events":[],"holidays":[]}"#
        );
    }

    #[test]
    fn names_round_trip() {
        for kind in OnThisDayKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!("all".parse::<OnThisDayKind>(), Err(()));
    }
}
