//! A duration as a user writes it: `10s`, `500ms`, `2m`, or a plain number of seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

/// The longest timeout: a day is more than any record should take, and sums of a few of them still fit
/// everywhere.
const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// A task's argument that is a timeout: more than zero, and at most a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeout(Duration);

impl Timeout {
    /// A timeout of so many seconds, for defaults.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The duration.
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let duration = match text.parse::<f64>() {
            Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
            Err(_) => humantime::parse_duration(text).ok(),
        };
        let duration = duration.ok_or_else(|| {
            format!(
                "`{text}` is not a duration: write seconds, as in 10, or add a unit, as in 10s, 500ms or 2m"
            )
        })?;
        if duration.is_zero() || duration > MAX {
            return Err(format!("`{text}` is not a timeout: it must be more than zero and at most a day"));
        }
        Ok(Self(duration))
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read() {
        for (text, millis) in [
            ("10", 10_000),
            ("0.5", 500),
            (" 10s ", 10_000),
            ("500ms", 500),
            ("2m", 120_000),
            ("1m 30s", 90_000),
        ] {
            assert_eq!(text.parse::<Timeout>().unwrap().get(), Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_timeout_is_refused() {
        for text in ["", "soon", "-1", "0", "0s", "nan", "inf", "1e300", "2days", "10 parsecs"] {
            let said = text.parse::<Timeout>().unwrap_err();
            assert!(said.starts_with(&format!("`{text}` is not a ")), "{said}");
        }
    }
}
