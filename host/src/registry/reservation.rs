//! The name under which a master holds nodes. It owns the format; it does not know what is reserved.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bytes of a reservation: the column of Net::SimpleGrid is `varchar(100)`.
const RESERVATION_BYTES_MAX: usize = 100;

/// The name of one run's hold on its nodes, different for every run.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reservation(String);

impl Reservation {
    /// A reservation for the run `run_id` of this process on the machine `host`: who holds the nodes, in the
    /// words of Net::SimpleGrid (`Manager.pm`, `createReservationID`), and the run, since another process
    /// can have the same number later.
    pub fn new(host: &str, run_id: &str) -> Self {
        Self::of(std::process::id(), nix::unistd::geteuid().as_raw(), host, run_id)
    }

    /// A reservation as it was read from the registry or received from a peer.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text in the table.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// If the column is too narrow, the host is cut: the run is what makes the name unique.
    fn of(pid: u32, euid: u32, host: &str, run_id: &str) -> Self {
        let before = format!("pid {pid} euid {euid} host ");
        let after = format!(" run {run_id}");
        let room = RESERVATION_BYTES_MAX.saturating_sub(before.len() + after.len());
        Self(format!("{before}{}{after}", start_of(host, room)))
    }
}

/// As much of a text as fits into `bytes_max`, in whole characters.
fn start_of(text: &str, bytes_max: usize) -> &str {
    let end = text.char_indices().map(|(at, character)| at + character.len_utf8());
    &text[..end.take_while(|end| *end <= bytes_max).last().unwrap_or(0)]
}

impl fmt::Display for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_holds_the_nodes_as_net_simplegrid_does() {
        let reservation = Reservation::of(12, 1000, "a.example", "r7");
        assert_eq!(reservation.as_str(), "pid 12 euid 1000 host a.example run r7");
    }

    #[test]
    fn it_names_this_process_and_differs_from_run_to_run() {
        let reservation = Reservation::new("m", "one");
        assert!(reservation.as_str().starts_with(&format!("pid {} euid ", std::process::id())));
        assert_ne!(reservation, Reservation::new("m", "two"));
    }

    #[test]
    fn a_long_host_name_is_cut_and_the_run_is_not() {
        let reservation = Reservation::of(u32::MAX, u32::MAX, &"ö".repeat(200), "0123456789abcdef");
        assert!(reservation.as_str().len() <= RESERVATION_BYTES_MAX);
        assert!(reservation.as_str().ends_with(" run 0123456789abcdef"));
    }
}
