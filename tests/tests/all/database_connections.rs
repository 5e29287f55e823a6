//! How the program connects to database servers: with which TLS, over which socket, and with which words it
//! fails.

use std::fs;

use mysql_async::prelude::Queryable;
use simplegrid::internals::database::{DatabaseError, Server, Trouble, mysql, postgres};
use simplegrid_tests::{Certificates, DatabaseServer, Engine, TestDatabase};

/// Whether the connection to that URL has TLS.
async fn has_tls(url: &str) -> Result<bool, DatabaseError> {
    let server = Server::from_url(url).expect("it is a server").expect("it is written well");
    server.check().expect("its settings are right");
    if url.starts_with("postgres") {
        let connection = postgres::connect(&server).await?;
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        return Ok(connection.query_one(sql, &[]).await.expect("it answers").get(0));
    }
    let mut connection = mysql::connect(&server).await?;
    let cipher: Option<(String, String)> =
        connection.query_first("SHOW STATUS LIKE 'Ssl_cipher'").await.expect("it answers");
    connection.disconnect().await.expect("it can be closed");
    Ok(!cipher.expect("there is such a variable").1.is_empty())
}

/// The URL of a database with another host and a setting.
fn url_with(database: &TestDatabase<'_>, host: &str, settings: &str) -> String {
    format!("{}?{settings}", database.url().replace("127.0.0.1", host))
}

fn trouble(result: Result<bool, DatabaseError>) -> Trouble {
    let error = result.expect_err("it must fail");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    assert!(!error.to_string().contains('\n'), "{error}");
    error.trouble
}

#[tokio::test]
async fn the_url_decides_about_tls() {
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let directory = tempfile::tempdir().expect("a directory can be made");
        let [ours, theirs] = ["ours", "theirs"].map(|name| directory.path().join(name));
        fs::write(&ours, &server.certificates().authority).expect("it can be written");
        fs::write(&theirs, Certificates::new().authority).expect("it can be written");
        let [ours, theirs] = [ours, theirs].map(|path| path.display().to_string());
        let (mode, ca) = match engine {
            Engine::Postgres => ("sslmode", "sslrootcert"),
            Engine::Mariadb => ("ssl-mode", "ssl-ca"),
        };
        let (verify_ca, verify_full) = match engine {
            Engine::Postgres => ("verify-ca", "verify-full"),
            Engine::Mariadb => ("VERIFY_CA", "VERIFY_IDENTITY"),
        };
        for (host, settings, expected) in [
            ("127.0.0.1", format!("{mode}=disable"), Some(false)),
            ("127.0.0.1", format!("{mode}=prefer"), Some(true)),
            ("127.0.0.1", String::new(), Some(true)),
            ("127.0.0.1", format!("{mode}=require"), Some(true)),
            ("127.0.0.1", format!("{mode}={verify_ca}&{ca}={ours}"), Some(true)),
            ("127.0.0.1", format!("{mode}={verify_ca}&{ca}={theirs}"), None),
            ("127.0.0.1", format!("{mode}=require&{ca}={theirs}"), None),
            ("localhost", format!("{mode}={verify_full}&{ca}={ours}"), Some(true)),
            ("localhost", format!("{mode}={verify_full}&{ca}={theirs}"), None),
            ("127.0.0.1", format!("{mode}={verify_full}&{ca}={ours}"), None),
        ] {
            let result = has_tls(&url_with(&database, host, &settings)).await;
            match expected {
                Some(tls) => assert_eq!(result.ok(), Some(tls), "{engine:?} {host} {settings}"),
                None => {
                    let trouble = trouble(result);
                    let is_tls = matches!(trouble, Trouble::Tls { .. });
                    assert!(is_tls, "{engine:?} {host} {settings}: {trouble:?}");
                }
            }
        }
        let nowhere = url_with(&database, "localhost", &format!("{mode}={verify_full}&{ca}=/nowhere"));
        assert!(matches!(trouble(has_tls(&nowhere).await), Trouble::Authorities { .. }));
    }
}

#[tokio::test]
async fn a_server_can_be_reached_over_its_socket() {
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let directory = server.socket_directory().display();
        let TestDatabase { name, username, password, .. } = &database;
        let url = match engine {
            Engine::Postgres => {
                let port = server.port();
                format!("postgres://{username}:{password}@:{port}/{name}?host={directory}")
            }
            Engine::Mariadb => {
                format!("mysql://{username}:{password}@/{name}?socket={directory}/mysql.sock")
            }
        };
        assert!(!has_tls(&url).await.expect("it connects"));
    }
}

#[tokio::test]
async fn every_way_to_fail_has_its_words() {
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let database = server.database();
        let wrong = database.url().replace(":hunter2", ":hunter2-wrong");
        assert_eq!(trouble(has_tls(&wrong).await), Trouble::WrongPassword { with_password: true });
        let none = database.url().replace(&format!(":{}@", database.password), "@");
        assert_eq!(trouble(has_tls(&none).await), Trouble::WrongPassword { with_password: false });
        let absent = database.url().replace(&database.name, "absent");
        assert_eq!(trouble(has_tls(&absent).await), Trouble::NoSuchDatabase);
        if engine == Engine::Postgres {
            let rejected = database.url().replace(&format!("{}:", database.username), "rejected:");
            assert!(matches!(trouble(has_tls(&rejected).await), Trouble::NotLetIn { .. }));
        }
        let elsewhere = database.url().replace(&format!(":{}/", server.port()), ":1/");
        assert!(matches!(trouble(has_tls(&elsewhere).await), Trouble::Unreachable { .. }));
        let nobody = database.url().replace("127.0.0.1", "no-such-host.invalid");
        assert!(matches!(trouble(has_tls(&nobody).await), Trouble::Unreachable { .. }));
    }
}

#[tokio::test]
async fn a_server_that_stands_still_is_not_waited_for_for_ever() {
    for engine in Engine::available() {
        let server = DatabaseServer::start(engine).expect("it is installed");
        let url = server.database().url();
        server.freeze();
        assert!(matches!(trouble(has_tls(&url).await), Trouble::Silent { .. }));
        server.thaw();
        assert!(has_tls(&url).await.is_ok());
    }
}
