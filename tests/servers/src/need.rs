//! What a test needs of the machine that it runs on, and what happens where the machine lacks it. On a
//! developer's machine the test says so and passes; in CI it fails, unless CI has said beforehand which needs
//! it cannot meet, and why.
//!
//! It does not know how a need is met: each test looks for itself, and hands in what it found.

use std::fmt::{self, Display};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Set to `true` by every common CI, and by `.ci/run`.
const CI: &str = "CI";

/// The needs that CI cannot meet, each with the reason: `ipv6: the container has none; mount: not root`.
const MAY_SKIP: &str = "SIMPLEGRID_TESTS_MAY_SKIP";

/// A file to which each skipped test adds a line.
const SKIPPED: &str = "SIMPLEGRID_TESTS_SKIPPED";

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The compiler and architecture with which the baselines of the instruction counts were recorded.
    Baselines,
    /// A C compiler, `cc`.
    CCompiler,
    /// An IPv6 loopback address.
    Ipv6,
    /// The program `make`.
    Make,
    /// The programs of MariaDB's server.
    Mariadb,
    /// The right to mount a file system in a mount namespace.
    Mount,
    /// The right to make network namespaces, and `ip`.
    Namespaces,
    /// The program `nc`.
    Nc,
    /// Perl with `DBD::mysql`.
    PerlMysql,
    /// Perl with `DBD::Pg`.
    PerlPostgres,
    /// The programs of PostgreSQL's server.
    Postgres,
    /// A user who cannot read every file, as root can.
    Unprivileged,
    /// The program `valgrind`.
    Valgrind,
}

impl Need {
    /// Every need.
    pub const ALL: [Self; 13] = [
        Self::Baselines,
        Self::CCompiler,
        Self::Ipv6,
        Self::Make,
        Self::Mariadb,
        Self::Mount,
        Self::Namespaces,
        Self::Nc,
        Self::PerlMysql,
        Self::PerlPostgres,
        Self::Postgres,
        Self::Unprivileged,
        Self::Valgrind,
    ];

    /// The word for it in `SIMPLEGRID_TESTS_MAY_SKIP`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Baselines => "baselines",
            Self::CCompiler => "cc",
            Self::Ipv6 => "ipv6",
            Self::Make => "make",
            Self::Mariadb => "mariadb",
            Self::Mount => "mount",
            Self::Namespaces => "namespaces",
            Self::Nc => "nc",
            Self::PerlMysql => "perl-mysql",
            Self::PerlPostgres => "perl-postgres",
            Self::Postgres => "postgres",
            Self::Unprivileged => "unprivileged",
            Self::Valgrind => "valgrind",
        }
    }

    /// Passes on what a test has found, or, if that is an error, says that the test is skipped.
    ///
    /// # Panics
    /// If the test must not be skipped here: in CI, if the need is not listed.
    #[track_caller]
    pub fn check<T, E: Display>(self, found: Result<T, E>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(missing) => {
                let skipped = Rules::of_environment().skip(self, &missing);
                // Written past the test harness, which hides what passing tests print.
                let _ = io::stderr().write_all(format!("skipped: {skipped}").as_bytes());
                None
            }
        }
    }
}

impl Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which tests may be skipped here, and where that is noted.
#[derive(Debug, Default)]
struct Rules {
    is_ci: bool,
    may_skip: String,
    skipped: Option<PathBuf>,
}

impl Rules {
    fn of_environment() -> Self {
        Self {
            is_ci: std::env::var_os(CI).is_some_and(|value| value == "true" || value == "1"),
            may_skip: std::env::var(MAY_SKIP).unwrap_or_default(),
            skipped: std::env::var_os(SKIPPED).filter(|path| !path.is_empty()).map(PathBuf::from),
        }
    }

    /// Notes that the test of this thread is skipped, and returns the line about it.
    #[track_caller]
    fn skip(&self, need: Need, missing: &dyn Display) -> String {
        let because = self.verdict(need, missing).unwrap_or_else(|refusal| panic!("{refusal}"));
        let thread = std::thread::current();
        let line = format!("{}: {because}\n", thread.name().unwrap_or("a thread of a test"));
        if let Some(path) = &self.skipped {
            add_line(path, &line).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        }
        line
    }

    /// Why a test may be skipped, or why not.
    fn verdict(&self, need: Need, missing: &dyn Display) -> Result<String, String> {
        let missing = missing.to_string();
        let missing = missing.trim();
        match self.reason(need) {
            _ if !self.is_ci => Ok(format!("{need}: {missing}")),
            Some(reason) => Ok(format!("{need}: {missing} ({reason})")),
            None => Err(format!(
                "this test needs `{need}`, and {missing}. In CI a test that cannot run fails: provide what it \
                 needs, or have .ci/run add `{need}: REASON` to {MAY_SKIP}"
            )),
        }
    }

    /// The reason for which tests with this need may be skipped, if one is given.
    fn reason(&self, need: Need) -> Option<&str> {
        let listed = self.may_skip.split(';').filter_map(|entry| entry.split_once(':'));
        let reason =
            |(name, reason): (&str, &'_ str)| name.trim() == need.name() && !reason.trim().is_empty();
        listed.filter(|entry| reason(*entry)).map(|(_, reason)| reason.trim()).next()
    }
}

/// One write, so that lines of tests that run at the same time do not mix.
fn add_line(path: &Path, line: &str) -> io::Result<()> {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MISSING: &str = "there is no ::1";

    fn in_ci(may_skip: &str) -> Rules {
        Rules { is_ci: true, may_skip: may_skip.to_owned(), skipped: None }
    }

    fn refusal(rules: &Rules, need: Need) -> Option<String> {
        rules.verdict(need, &MISSING).err()
    }

    #[test]
    fn a_need_that_is_met_is_passed_on() {
        assert_eq!(Need::Ipv6.check(Ok::<_, String>(7)), Some(7));
    }

    #[test]
    fn outside_ci_a_missing_need_is_no_failure() {
        let rules = Rules::default();
        for need in Need::ALL {
            assert_eq!(rules.verdict(need, &MISSING), Ok(format!("{need}: {MISSING}")));
        }
    }

    #[test]
    fn in_ci_a_missing_need_fails_the_test_and_the_failure_says_how_to_mend_it() {
        for need in Need::ALL {
            let refusal = refusal(&in_ci(""), need).expect("it is not listed");
            assert!(refusal.contains(MISSING) && refusal.contains(&format!("`{need}: REASON`")), "{refusal}");
        }
    }

    #[test]
    #[should_panic(expected = "In CI a test that cannot run fails")]
    fn the_failure_is_a_panic_of_the_test() {
        in_ci("").skip(Need::Nc, &MISSING);
    }

    #[test]
    fn a_need_that_ci_has_listed_is_skipped_with_the_reason() {
        let rules = in_ci("mount: not root; ipv6 : containers have none");
        let skipped = rules.verdict(Need::Ipv6, &MISSING);
        assert_eq!(skipped.as_deref(), Ok("ipv6: there is no ::1 (containers have none)"));
        assert!(refusal(&rules, Need::Mount).is_none() && refusal(&rules, Need::Nc).is_some());
    }

    #[test]
    fn a_need_that_is_listed_without_a_reason_is_not_listed() {
        for may_skip in ["ipv6", "ipv6:", "ipv6: ;", "ipv6x: a reason", "an ipv6: a reason"] {
            assert!(refusal(&in_ci(may_skip), Need::Ipv6).is_some(), "{may_skip:?}");
        }
    }

    #[test]
    fn what_was_skipped_is_listed_in_a_file() {
        let directory = std::env::temp_dir().join(format!("simplegrid-need-{}", std::process::id()));
        let rules = Rules { skipped: Some(directory.clone()), ..in_ci("nc: none; ipv6: none") };
        rules.skip(Need::Nc, &MISSING);
        rules.skip(Need::Ipv6, &MISSING);
        let listed = std::fs::read_to_string(&directory).expect("it was written");
        std::fs::remove_file(&directory).expect("it is there");
        let ends: Vec<_> =
            listed.lines().filter_map(|line| line.split_once(": ")).map(|(_, end)| end).collect();
        assert_eq!(ends, ["nc: there is no ::1 (none)", "ipv6: there is no ::1 (none)"]);
    }

    #[test]
    fn every_need_has_a_name_of_its_own() {
        let names = Need::ALL.map(Need::name);
        let unique: std::collections::BTreeSet<_> = names.into_iter().collect();
        assert_eq!(unique.len(), names.len());
    }
}
