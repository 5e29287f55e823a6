//! A list of exit statuses as a user writes it: `1,75`, or `any`.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Exit statuses from 1 to 255.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Statuses {
    /// Every one of them.
    Any,
    /// These.
    These(BTreeSet<u8>),
}

impl Statuses {
    /// Whether the status is named. With `any`, no single one is.
    pub(crate) fn names(&self, status: u8) -> bool {
        matches!(self, Self::These(these) if these.contains(&status))
    }

    /// A status that both lists name.
    pub(crate) fn in_both(&self, other: &Self) -> Option<u8> {
        match (self, other) {
            (Self::These(these), Self::These(others)) => these.intersection(others).next().copied(),
            _ => None,
        }
    }
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim() == "any" {
            return Ok(Self::Any);
        }
        let statuses: Option<BTreeSet<u8>> =
            text.split(',').map(|status| status.trim().parse().ok().filter(|&status| status > 0)).collect();
        statuses.map(Self::These).ok_or_else(|| {
            format!(
                "`{text}` is not a list of exit statuses: write numbers from 1 to 255, as in 1,75, or `any`"
            )
        })
    }
}

impl<'de> Deserialize<'de> for Statuses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        assert_eq!("any".parse(), Ok(Statuses::Any));
        assert_eq!(" 1, 75".parse(), Ok(Statuses::These([1, 75].into())));
    }

    #[test]
    fn what_is_no_list_of_statuses_is_refused() {
        for text in ["", "0", "256", "1,,2", "one", "1;2", "-1"] {
            let said = text.parse::<Statuses>().unwrap_err();
            assert!(said.starts_with(&format!("`{text}` is not a list of exit statuses")), "{said}");
        }
    }
}
