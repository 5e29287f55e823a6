//! The throw-away servers of the tests themselves.

use simplegrid_tests::{DatabaseServer, Engine};

#[test]
fn a_server_can_be_started_stopped_killed_and_frozen_and_leaves_nothing_behind() {
    for engine in Engine::available() {
        let mut server = DatabaseServer::start(engine).expect("it is installed");
        let directory = server.socket_directory().to_owned();
        let name = server.database().name;
        for end in [DatabaseServer::stop, DatabaseServer::kill] {
            end(&mut server);
            assert!(server.try_administer(None, "SELECT 1").is_err());
            server.start_again();
            assert_eq!(server.administer(Some(&name), "SELECT 1"), [[Some("1".to_owned())]]);
        }
        server.freeze();
        drop(server);
        assert!(!directory.exists());
    }
}

#[test]
fn databases_of_a_shared_server_know_nothing_of_each_other() {
    for engine in Engine::available() {
        let server = DatabaseServer::shared(engine).expect("it is installed");
        let (one, other) = (server.database(), server.database());
        one.query("CREATE TABLE t (a int)");
        other.query("CREATE TABLE t (a int)");
        one.query("INSERT INTO t VALUES (1)");
        assert_eq!(one.query("SELECT a FROM t"), [[Some("1".to_owned())]]);
        assert!(other.query("SELECT a FROM t").is_empty());
    }
}
