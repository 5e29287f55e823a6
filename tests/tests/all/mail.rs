//! `email-validation` in whole grids, with name servers and mail servers of the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use nix::sys::signal::Signal;
use simplegrid_test_servers::{Action, DnsServer, SmtpServer, Step, polite};
use simplegrid_tests::{Call, Grid, kill, wait};

/// Domains, each with a mail host.
const DOMAINS: usize = 12;

/// Addresses in each.
const ADDRESSES: usize = 25;

/// A mail server, and a name server that leads to it for all domains, each through a host of its own.
struct World {
    dns: DnsServer,
    smtp: SmtpServer,
}

impl World {
    fn new(script: impl Fn(Step<'_>) -> Action + Send + Sync + 'static) -> Self {
        let dns = (0..DOMAINS).fold(DnsServer::start(), |dns, number| {
            let (domain, host) = (format!("d{number}.test"), format!("mx.d{number}.test"));
            dns.mx(&domain, 10, &host).address_of(&host, IpAddr::V4(Ipv4Addr::LOCALHOST))
        });
        Self { dns: dns.mx("null.test", 0, ".").failing("failing.test"), smtp: SmtpServer::start(script) }
    }

    fn validate<'g>(&self, grid: &'g Grid) -> Call<'g> {
        grid.run("email-validation")
            .task_arg("resolver", self.dns.address().to_string())
            .task_arg("smtp-port", self.smtp.address().port().to_string())
    }

    /// The recipients that were asked about, by domain: on which connections, and how often.
    fn asked(&self) -> BTreeMap<String, (BTreeSet<usize>, usize)> {
        let mut asked: BTreeMap<String, (BTreeSet<usize>, usize)> = BTreeMap::new();
        for (connection, line) in self.smtp.lines() {
            let Some((_, domain)) = line.strip_prefix("RCPT TO:").and_then(|to| to.split_once('@')) else {
                continue;
            };
            let (connections, times) = asked.entry(domain.trim_end_matches('>').to_owned()).or_default();
            connections.insert(connection);
            *times += 1;
        }
        asked
    }
}

/// Addresses of all domains, one domain after the other. Every fifth address does not exist.
fn addresses() -> Vec<String> {
    let user =
        |number: usize| if number.is_multiple_of(5) { format!("no{number}") } else { format!("joe{number}") };
    (0..DOMAINS)
        .flat_map(|domain| (0..ADDRESSES).map(move |number| format!("{}@d{domain}.test", user(number))))
        .collect()
}

/// The row of one of these addresses.
fn row(address: &str) -> String {
    if address.starts_with("no") {
        format!("{address},1,550 5.1.1 no such user\n")
    } else {
        format!("{address},6,\n")
    }
}

#[test]
fn addresses_are_scored() {
    let (grid, world) = (Grid::new(), World::new(polite));
    let run = world.validate(&grid).args("-k --header").path("--failed", grid.path("failed"));
    let input = "joe@d1.test,x\nno@d2.test\nnobody\njoe@null.test\njoe@gone.test\njoe@failing.test\n\"\"\"a b\"\"@d1.test\"\n";
    let run = run.input(input).finish().expect(1).expect_counts(7, 6, 1);
    assert_eq!(
        run.text(),
        "address,score,message\n\
         joe@d1.test,6,\n\
         no@d2.test,1,550 5.1.1 no such user\n\
         nobody,0,no address: it has no @\n\
         joe@null.test,0,`null.test` says that it takes no mail (null MX)\n\
         joe@gone.test,0,there is no name `gone.test`\n\
         \"\"\"a b\"\"@d1.test\",6,\n"
    );
    // Whether that domain accepts mail is unknown: it was asked again, and is reported.
    let failed = grid.failed("failed");
    assert_eq!((failed.len(), failed[0].seq, failed[0].attempts), (1, 5, 3));
    assert!(failed[0].message.contains("could not be looked up"), "{}", failed[0].message);
}

#[test]
fn a_partitioned_run_asks_each_host_on_one_connection() {
    let (grid, world) = (Grid::new(), World::new(polite));
    let input = addresses();
    let run = world.validate(&grid).args("-k -m 4 --partition-by email-validation:by-email-domain");
    let run = run.input(input.join("\n")).finish().expect(0);
    assert_eq!(run.text(), input.iter().map(|address| row(address)).collect::<String>());
    let asked = world.asked();
    assert_eq!(asked.len(), DOMAINS);
    for (domain, (connections, times)) in asked {
        assert_eq!((connections.len(), times), (1, ADDRESSES), "{domain}");
    }
    let said = |word: &str| world.smtp.lines_with(word).len();
    assert_eq!((world.smtp.connections(), said("EHLO"), said("QUIT")), (DOMAINS, DOMAINS, DOMAINS));
}

#[test]
fn a_limit_holds_for_a_whole_partitioned_run_in_any_order() {
    let (grid, world) = (Grid::new(), World::new(polite));
    let mut input = addresses();
    // One domain after the other, again and again.
    input.sort_by_key(|address| address.split_once('@').map(|(user, _)| user.to_owned()));
    let run = world.validate(&grid).args("-k -m 4 --partition-by email-domain:by-registrable-domain");
    let run = run.task_arg("dlimit", "3").input(input.join("\n")).finish().expect(0);
    assert_eq!(
        run.text().matches(",2,not asked: dlimit is reached for its domain\n").count(),
        DOMAINS * (ADDRESSES - 3)
    );
    let asked = world.asked();
    assert_eq!(asked.len(), DOMAINS);
    assert!(asked.values().all(|(_, times)| *times == 3), "{asked:?}");
}

#[test]
fn a_worker_that_is_killed_in_mid_conversation_costs_nothing() {
    let grid = Grid::new();
    let world = World::new(|step| match step.line {
        // Only the worker that is killed waits for this.
        Some("RCPT TO:<joe7@d3.test>") if step.connection == 0 => Action::Silence,
        _ => polite(step),
    });
    let input: Vec<_> = addresses().into_iter().filter(|address| address.ends_with("@d3.test")).collect();
    let run = world.validate(&grid).args("-k -m 1").input(input.join("\n")).start();
    wait::until("the mail server is asked", || {
        world.smtp.lines().iter().any(|(_, line)| line.contains("<joe7@"))
    });
    let workers = grid.workers();
    assert_eq!(workers.len(), 1);
    kill(workers[0].pid, Signal::SIGKILL);
    let run = run.finish().expect(0).expect_counts(ADDRESSES as u64, ADDRESSES as u64, 0);
    assert_eq!(run.text(), input.iter().map(|address| row(address)).collect::<String>());
    // What was finished is not asked again; only the recipient in the middle is.
    assert_eq!(world.smtp.lines_with("RCPT").len(), ADDRESSES + 1);
    assert_eq!(world.smtp.connections(), 2);
}

#[test]
fn bad_arguments_are_named_before_anything_runs() {
    let (grid, world) = (Grid::new(), World::new(polite));
    let run = world.validate(&grid).task_arg("dlimit", "-7").input("joe@d1.test").finish();
    assert_ne!(run.status, 0);
    assert!(run.errors().iter().any(|error| error.contains("dlimit")), "{}", run.stderr);
    assert_eq!(world.smtp.connections(), 0);
}
