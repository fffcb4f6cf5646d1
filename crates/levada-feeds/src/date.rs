//! Dates as the feeds spell them: request paths, template titles, pageview rows.
//!
//! No clock is read here: "today" is always passed in, as a UTC date. Contract §1.3 (internal
//! routes) and §3.2 (the older public route).

use std::fmt;

use jiff::ToSpan;
use jiff::civil::Date;

/// First year for which a feed may be asked (contract §1.3).
pub const FIRST_YEAR: i16 = 2016;

/// A valid calendar day, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedDate(Date);

impl FeedDate {
    /// The day of a civil date.
    pub fn new(date: Date) -> Self {
        Self(date)
    }

    /// Year, month (1–12) and day of month as a date, when they are one.
    pub fn from_ymd(year: i16, month: i8, day: i8) -> Option<Self> {
        Date::new(year, month, day).ok().map(Self)
    }

    /// The date of the three path parameters of the internal routes: zero padded, a day that
    /// exists, and `2016 ≤ year ≤ this year + 1`. `None` is the 404 of contract §1.2.
    pub fn parse(yyyy: &str, mm: &str, dd: &str, today: FeedDate) -> Option<Self> {
        let year: i16 = digits(yyyy, 4)?;
        let month: i8 = digits(mm, 2)?;
        let day: i8 = digits(dd, 2)?;
        if year < FIRST_YEAR || year > today.0.year() + 1 {
            return None;
        }
        Self::from_ymd(year, month, day)
    }

    /// The date of the older public route: `yyyy` is `2` and three digits, `mm` 01–12, `dd` 01–31;
    /// a day that does not exist rolls over into the next month (contract §3.2).
    ///
    /// # Errors
    /// The name of the first parameter that is not valid (`yyyy`, `mm` or `dd`).
    pub fn parse_restbase(yyyy: &str, mm: &str, dd: &str) -> Result<Self, &'static str> {
        let year: i16 = digits(yyyy, 4)
            .filter(|y| (2000..3000).contains(y))
            .ok_or("yyyy")?;
        let month: i8 = digits(mm, 2).filter(|m| (1..=12).contains(m)).ok_or("mm")?;
        let day: i64 = digits(dd, 2).filter(|d| (1..=31).contains(d)).ok_or("dd")?;
        let first = Date::new(year, month, 1).map_err(|_| "mm")?;
        let date = first.checked_add((day - 1).days()).map_err(|_| "dd")?;
        Ok(Self(date))
    }

    /// The civil date.
    pub fn date(self) -> Date {
        self.0
    }

    /// The year.
    pub fn year(self) -> i16 {
        self.0.year()
    }

    /// Month and day.
    pub fn month_day(self) -> MonthDay {
        MonthDay {
            month: self.0.month().unsigned_abs(),
            day: self.0.day().unsigned_abs(),
        }
    }

    /// The day `days` later (earlier when negative), saturating at the ends of the calendar.
    pub fn plus_days(self, days: i32) -> Self {
        Self(self.0.saturating_add(i64::from(days).days()))
    }

    /// Whole days from `other` to this date; negative when this one is earlier.
    pub fn days_since(self, other: FeedDate) -> i32 {
        self.0.since(other.0).map_or(0, |span| span.get_days())
    }

    /// `YYYYMMDD`, as in `FeedItem` titles and per-article pageview paths.
    pub fn compact(self) -> String {
        format!("{:04}{:02}{:02}", self.0.year(), self.0.month(), self.0.day())
    }

    /// `YYYY/MM/DD`, as in feed paths and the pageview top list.
    pub fn slashed(self) -> String {
        format!("{:04}/{:02}/{:02}", self.0.year(), self.0.month(), self.0.day())
    }

    /// `YYYY-MM-DDZ`, as most-read carries it.
    pub fn wire(self) -> String {
        format!("{self}Z")
    }
}

impl fmt::Display for FeedDate {
    /// `YYYY-MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.0.year(),
            self.0.month(),
            self.0.day()
        )
    }
}

/// A day of the year without a year, as on-this-day takes it. 29 February exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonthDay {
    /// 1–12.
    pub month: u8,
    /// 1–31, and never past the end of the month in a leap year.
    pub day: u8,
}

impl MonthDay {
    /// Month and day, when such a day exists in a leap year.
    pub fn new(month: u8, day: u8) -> Option<Self> {
        let (m, d) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        FeedDate::from_ymd(2000, m, d).map(|_| Self { month, day })
    }

    /// Month and day of the path, one or two digits each (contract §1.0: unpadded is accepted).
    pub fn parse(mm: &str, dd: &str) -> Option<Self> {
        Self::new(short_number(mm)?, short_number(dd)?)
    }
}

impl fmt::Display for MonthDay {
    /// `MM-DD`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}-{:02}", self.month, self.day)
    }
}

/// Exactly `len` ASCII digits as a number.
fn digits<N: std::str::FromStr>(text: &str, len: usize) -> Option<N> {
    let fits = text.len() == len && text.bytes().all(|b| b.is_ascii_digit());
    fits.then(|| text.parse().ok()).flatten()
}

/// One or two ASCII digits as a number.
fn short_number(text: &str) -> Option<u8> {
    digits(text, 2).or_else(|| digits(text, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn today() -> FeedDate {
        FeedDate::from_ymd(2026, 11, 20).expect("a day")
    }

    #[test]
    fn case_32_and_33_what_is_not_a_date_for_the_internal_routes() {
        let parse = |y, m, d| FeedDate::parse(y, m, d, today());
        assert!(parse("2016", "04", "29").is_some());
        assert!(parse("2027", "12", "31").is_some(), "next year is allowed");
        for (y, m, d) in [
            ("2016", "4", "29"),
            ("2016", "04", "9"),
            ("2015", "12", "31"),
            ("2028", "01", "01"),
            ("2027", "02", "29"),
            ("1970", "12", "31"),
            ("2016", "13", "01"),
            ("2016", "04", "45"),
            ("2016", "00", "01"),
            ("+016", "04", "01"),
            ("２０１６", "04", "01"),
            ("", "", ""),
        ] {
            assert_eq!(parse(y, m, d), None, "{y}/{m}/{d}");
        }
    }

    #[test]
    fn case_112_what_the_older_route_refuses_and_rolls_over() {
        assert_eq!(FeedDate::parse_restbase("2016", "1", "01"), Err("mm"));
        assert_eq!(FeedDate::parse_restbase("2016", "01", "1"), Err("dd"));
        assert_eq!(FeedDate::parse_restbase("0000", "01", "01"), Err("yyyy"));
        assert_eq!(FeedDate::parse_restbase("2016", "01", "32"), Err("dd"));
        let rolled = FeedDate::parse_restbase("2015", "02", "31").expect("accepted");
        assert_eq!(rolled.to_string(), "2015-03-03");
    }

    #[test]
    fn days_of_the_year_may_be_unpadded_and_must_exist() {
        assert_eq!(MonthDay::parse("1", "5"), MonthDay::new(1, 5));
        assert_eq!(MonthDay::parse("01", "05"), MonthDay::new(1, 5));
        assert!(MonthDay::parse("02", "29").is_some());
        for (m, d) in [
            ("13", "01"),
            ("02", "30"),
            ("0", "1"),
            ("foo", "bar"),
            ("001", "1"),
        ] {
            assert_eq!(MonthDay::parse(m, d), None, "{m}/{d}");
        }
    }

    #[test]
    fn spellings_and_arithmetic() {
        let d = FeedDate::from_ymd(2017, 1, 1).expect("a day");
        assert_eq!(d.plus_days(-1).wire(), "2016-12-31Z");
        assert_eq!(
            (d.compact(), d.slashed()),
            ("20170101".into(), "2017/01/01".into())
        );
        assert_eq!(d.days_since(d.plus_days(-400)), 400);
        assert_eq!(d.month_day().to_string(), "01-01");
    }
}
