//! Throw-away database servers, started from the installed programs, and databases in them. Every test has
//! its own database and user; tests that do not break the server share one server.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use nix::sys::signal::Signal;

use crate::certificates::Certificates;
use crate::throwaway::Throwaway;
use crate::{Need, mariadb_server, postgres_server, wait};

/// How often another port is tried: another program can take the one that was free a moment ago.
const PORT_TRIES: u32 = 10;

/// The result of a statement, as text.
pub type Rows = Vec<Vec<Option<String>>>;

/// The kinds of servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// PostgreSQL.
    Postgres,
    /// MariaDB, which speaks MySQL's protocol.
    Mariadb,
}

/// Which user runs a statement, and in which database.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Account<'a> {
    /// The database, if not the administrator's.
    pub(crate) database: Option<&'a str>,
    /// Name and password, if the user is not the administrator.
    pub(crate) user: Option<(&'a str, &'a str)>,
}

/// A server.
#[derive(Debug)]
pub struct DatabaseServer {
    engine: Engine,
    place: Throwaway,
    port: u16,
    certificates: Certificates,
}

impl Engine {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Postgres, Self::Mariadb];

    /// The servers that can be started here. Tests with the others are skipped ([`Need`]).
    #[track_caller]
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|engine| engine.is_installed())
    }

    /// Whether it can be started here. If not, the test is skipped.
    #[track_caller]
    fn is_installed(self) -> bool {
        let need = match self {
            Self::Postgres => Need::Postgres,
            Self::Mariadb => Need::Mariadb,
        };
        need.check(self.programs()).is_some()
    }

    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Mariadb => "mysql",
        }
    }

    fn programs(self) -> Result<[PathBuf; 2], String> {
        match self {
            Self::Postgres => postgres_server::programs(),
            Self::Mariadb => mariadb_server::programs(),
        }
    }
}

impl DatabaseServer {
    /// The server that the tests of this process share, which ends with the process. If it is not installed,
    /// the test is skipped.
    #[track_caller]
    pub fn shared(engine: Engine) -> Option<&'static Self> {
        static SHARED: [OnceLock<DatabaseServer>; 2] = [OnceLock::new(), OnceLock::new()];
        engine.is_installed().then(|| SHARED[engine as usize].get_or_init(|| Self::new(engine)))
    }

    /// A server of the test's own, which it can break. If it is not installed, the test is skipped.
    #[track_caller]
    pub fn start(engine: Engine) -> Option<Self> {
        engine.is_installed().then(|| Self::new(engine))
    }

    fn new(engine: Engine) -> Self {
        let certificates = Certificates::new();
        let files = |place: &Throwaway| {
            let Certificates { authority, server, key } = &certificates;
            for (name, content) in [("ca.crt", authority), ("server.crt", server), ("server.key", key)] {
                place.write(name, content).expect("the directory can be written");
            }
        };
        let place = match engine {
            Engine::Postgres => postgres_server::prepare(files),
            Engine::Mariadb => mariadb_server::prepare(files),
        };
        let place = place.expect("the server can be prepared");
        let mut server = Self { engine, place, port: 0, certificates };
        let started = (0..PORT_TRIES).any(|_| {
            server.port = free_port();
            server.try_start()
        });
        assert!(started, "the server does not start:\n{}", server.place.log());
        server
    }

    /// Which kind it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory with its socket. Only root and the server's user can enter it.
    pub fn socket_directory(&self) -> &Path {
        self.place.directory()
    }

    /// Its certificates, which are for the name `localhost`.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// Ends it as its administrator would. Its clients lose their connections.
    pub fn stop(&mut self) {
        self.place.end(match self.engine {
            Engine::Postgres => Signal::SIGINT,
            Engine::Mariadb => Signal::SIGTERM,
        });
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.place.end(Signal::SIGKILL);
    }

    /// Starts it again where it was.
    pub fn start_again(&mut self) {
        // Something else that took the port meanwhile, or a remnant of the old process, goes away by itself.
        wait::until("the server starts again", || self.try_start());
    }

    /// Stops all its processes where they are: it answers nothing and closes nothing.
    pub fn freeze(&self) {
        self.place.signal_all(Signal::SIGSTOP);
    }

    /// Lets it continue.
    pub fn thaw(&self) {
        self.place.signal_all(Signal::SIGCONT);
    }

    /// Runs a statement as its administrator, in a database or in none. An error is what the server says.
    pub fn try_administer(&self, database: Option<&str>, sql: &str) -> Result<Rows, String> {
        self.query(Account { database, user: None }, sql)
    }

    /// Runs a statement as its administrator. A statement that fails fails the test.
    #[track_caller]
    pub fn administer(&self, database: Option<&str>, sql: &str) -> Rows {
        self.try_administer(database, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// A new database, with a user that can do everything in it and nothing elsewhere.
    pub fn database(&self) -> TestDatabase<'_> {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let nth = MADE.fetch_add(1, Relaxed);
        let (name, username) = (format!("grid_{nth}"), format!("user_{nth}"));
        let password = format!("hunter2-{nth}");
        let statements = match self.engine {
            Engine::Postgres => postgres_server::new_database(&name, &username, &password),
            Engine::Mariadb => mariadb_server::new_database(&name, &username, &password),
        };
        statements.iter().for_each(|sql| drop(self.administer(None, sql)));
        TestDatabase { server: self, name, username, password }
    }

    /// Starts it, and returns whether it runs now. If it does not, its process has been cleaned up.
    fn try_start(&mut self) -> bool {
        match self.engine {
            Engine::Postgres => postgres_server::configure(&self.place, self.port),
            Engine::Mariadb => mariadb_server::configure(&self.place, self.port),
        }
        .expect("the directory can be written");
        self.place.start();
        let ready = wait::until_some("the server answers or ends", || {
            let answers = self.try_administer(None, "SELECT 1").is_ok();
            if answers { Some(true) } else { (!self.place.is_running()).then_some(false) }
        });
        if !ready {
            self.place.end(Signal::SIGKILL);
        }
        ready
    }

    fn query(&self, account: Account<'_>, sql: &str) -> Result<Rows, String> {
        let directory = self.place.directory();
        on_a_runtime_of_its_own(|| async {
            let asked = async {
                match self.engine {
                    Engine::Postgres => postgres_server::query(directory, self.port, account, sql).await,
                    Engine::Mariadb => mariadb_server::query(directory, account, sql).await,
                }
            };
            tokio::time::timeout(wait::PATIENCE, asked).await.map_err(|_| "it does not answer".to_owned())?
        })
    }
}

/// A database of a test, with its user.
#[derive(Debug)]
pub struct TestDatabase<'s> {
    server: &'s DatabaseServer,
    /// Its name.
    pub name: String,
    /// Its user's name.
    pub username: String,
    /// Its user's password, which must never be shown: it contains `hunter2`.
    pub password: String,
}

impl TestDatabase<'_> {
    /// The URL with user and password.
    pub fn url(&self) -> String {
        let Self { name, username, password, .. } = self;
        format!(
            "{}://{username}:{password}@127.0.0.1:{}/{name}",
            self.server.engine.scheme(),
            self.server.port
        )
    }

    /// The URL without user and password.
    pub fn bare_url(&self) -> String {
        format!("{}://127.0.0.1:{}/{}", self.server.engine.scheme(), self.server.port, self.name)
    }

    /// Its name in Perl's database interface, without user and password.
    pub fn dsn(&self) -> String {
        let (name, port) = (&self.name, self.server.port);
        match self.server.engine {
            Engine::Postgres => format!("dbi:Pg:dbname={name};host=127.0.0.1;port={port}"),
            Engine::Mariadb => format!("dbi:mysql:database={name};host=127.0.0.1;port={port}"),
        }
    }

    /// Runs a statement in it as its user. A statement that fails fails the test.
    #[track_caller]
    pub fn query(&self, sql: &str) -> Rows {
        let account = Account { database: Some(&self.name), user: Some((&self.username, &self.password)) };
        self.server.query(account, sql).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Runs a statement in it as the server's administrator. A statement that fails fails the test.
    #[track_caller]
    pub fn administer(&self, sql: &str) -> Rows {
        self.server.administer(Some(&self.name), sql)
    }
}

/// Runs it on a thread, because the caller may already be in a runtime.
fn on_a_runtime_of_its_own<T: Send, F: Future<Output = T>>(work: impl FnOnce() -> F + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(work())
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A port that nothing listens on at the moment.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}
