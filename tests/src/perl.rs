//! Perl with its database interface, as Net::SimpleGrid uses it.

use std::io::Write;
use std::process::{Command, Stdio};

use crate::Need;
use crate::database_server::{Engine, TestDatabase};

/// Runs a Perl script that finds a connected `$dbh`, which dies on errors, and returns what it prints. If
/// Perl or the driver is not installed, the test is skipped.
///
/// # Panics
/// If the script fails.
#[track_caller]
pub fn run_perl(engine: Engine, database: &TestDatabase<'_>, script: &str) -> Option<String> {
    let (need, driver) = match engine {
        Engine::Postgres => (Need::PerlPostgres, "DBD::Pg"),
        Engine::Mariadb => (Need::PerlMysql, "DBD::mysql"),
    };
    let there = Command::new("perl").arg(format!("-M{driver}")).args(["-MDBI", "-e", "1"]).output();
    let there = there.is_ok_and(|output| output.status.success());
    need.check(there.then_some(()).ok_or(format!("there is no Perl with {driver} here")))?;
    let connect = "use strict; use warnings; use DBI; my ($dsn, $user) = @ARGV;
        my $dbh = DBI->connect($dsn, $user, $ENV{PASSWORD}, {RaiseError => 1, PrintError => 0});\n";
    let mut perl = Command::new("perl");
    perl.arg("-").arg(database.dsn()).arg(&database.username).env("PASSWORD", &database.password);
    perl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut perl = perl.spawn().expect("Perl is there");
    let mut input = perl.stdin.take().expect("it is a pipe");
    input
        .write_all(connect.as_bytes())
        .and_then(|()| input.write_all(script.as_bytes()))
        .expect("Perl reads it");
    drop(input);
    let output = perl.wait_with_output().expect("Perl ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}
