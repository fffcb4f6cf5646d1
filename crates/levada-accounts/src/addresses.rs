//! The list of addresses that need no token: ranges, and who stands behind each (contract realtime
//! §1.11).

use std::net::IpAddr;

use serde::Deserialize;

use crate::limits::{ADDRESS_RANGES_MAX, GROUPS_PER_USER_MAX};
use crate::name::user_name;

/// One range and who stands behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressRange {
    /// First address.
    pub start: IpAddr,
    /// Last address.
    pub end: IpAddr,
    /// Name under which it counts; it need not be a user of the store.
    pub username: String,
    /// Groups that give it its rights.
    pub groups: Vec<String>,
}

/// The ranges, in the order in which they are tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressList {
    ranges: Vec<AddressRange>,
}

/// The list cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("address list: {0}")]
pub struct AddressError(String);

#[derive(Deserialize)]
struct Entry {
    ip_range: Range,
    user: User,
}

#[derive(Deserialize)]
struct Range {
    start: IpAddr,
    end: IpAddr,
}

#[derive(Deserialize)]
struct User {
    username: String,
    #[serde(default)]
    groups: Vec<String>,
}

impl AddressList {
    /// Checks the ranges: both ends of one family, the first not above the last, at most
    /// [`ADDRESS_RANGES_MAX`].
    ///
    /// # Errors
    /// [`AddressError`] names the range.
    pub fn new(ranges: Vec<AddressRange>) -> Result<Self, AddressError> {
        if ranges.len() > ADDRESS_RANGES_MAX {
            return Err(AddressError(format!("at most {ADDRESS_RANGES_MAX} ranges")));
        }
        let mut checked = Vec::with_capacity(ranges.len());
        for mut range in ranges {
            (range.start, range.end) = (range.start.to_canonical(), range.end.to_canonical());
            let what = format!("{} to {}", range.start, range.end);
            if range.start.is_ipv4() != range.end.is_ipv4() || range.start > range.end {
                return Err(AddressError(format!("{what} is no range")));
            }
            range.username = user_name(&range.username)
                .ok_or_else(|| AddressError(format!("{what} has no usable user name")))?;
            if range.groups.len() > GROUPS_PER_USER_MAX {
                return Err(AddressError(format!(
                    "{what} has more than {GROUPS_PER_USER_MAX} groups"
                )));
            }
            checked.push(range);
        }
        Ok(Self { ranges: checked })
    }

    /// Reads the JSON of the reference's `IP_ALLOW_LIST`:
    /// `[{"ip_range":{"start","end"},"user":{"username","groups"}}]`.
    ///
    /// # Errors
    /// [`AddressError`] names what cannot be read.
    pub fn parse_json(text: &str) -> Result<Self, AddressError> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(|e| AddressError(e.to_string()))?;
        let range = |entry: Entry| AddressRange {
            start: entry.ip_range.start,
            end: entry.ip_range.end,
            username: entry.user.username,
            groups: entry.user.groups,
        };
        Self::new(entries.into_iter().map(range).collect())
    }

    /// The first range with this address, and its place in the list.
    pub(crate) fn find(&self, address: IpAddr) -> Option<(usize, &AddressRange)> {
        let address = address.to_canonical();
        self.ranges.iter().enumerate().find(|(_, range)| {
            range.start.is_ipv4() == address.is_ipv4() && (range.start..=range.end).contains(&address)
        })
    }

    /// How many ranges there are.
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(start: &str, end: &str) -> Result<AddressList, AddressError> {
        AddressList::parse_json(&format!(
            r#"[{{"ip_range":{{"start":"{start}","end":"{end}"}},"user":{{"username":"Lan","groups":["group_3"]}}}}]"#
        ))
    }

    fn has(list: &AddressList, address: &str) -> bool {
        list.find(address.parse().unwrap()).is_some()
    }

    #[test]
    fn both_ends_belong_to_a_range() {
        let v4 = list("192.0.2.10", "192.0.2.20").unwrap();
        for (address, inside) in [
            ("192.0.2.9", false),
            ("192.0.2.10", true),
            ("192.0.2.20", true),
            ("192.0.2.21", false),
        ] {
            assert_eq!(has(&v4, address), inside, "{address}");
        }
        assert!(has(&v4, "::ffff:192.0.2.15") && !has(&v4, "::1"));
        let v6 = list("2001:db8::", "2001:db8::ffff").unwrap();
        assert!(has(&v6, "2001:db8::1") && !has(&v6, "2001:db8::1:0") && !has(&v6, "32.1.13.184"));
        assert_eq!(v6.find("2001:db8::1".parse().unwrap()).unwrap().1.username, "lan");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for (start, end) in [
            ("192.0.2.2", "192.0.2.1"),
            ("192.0.2.1", "2001:db8::"),
            ("x", "192.0.2.1"),
        ] {
            assert!(list(start, end).is_err(), "{start} {end}");
        }
        assert!(AddressList::parse_json("{}").is_err());
        assert_eq!(AddressList::parse_json("[]").unwrap().len(), 0);
    }
}
