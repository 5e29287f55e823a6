//! The command line wins over the environment, the environment over the file, the file over the defaults.

use std::path::PathBuf;
use std::time::Duration;

use super::*;

#[test]
fn each_layer_wins_over_those_below() {
    let user = User::new();
    assert_eq!(user.slave(&["-t", "echo"]).max_workers, 5);
    let user = user.with_file("max-workers = 6");
    assert_eq!(user.slave(&["-t", "echo"]).max_workers, 6);
    let user = user.with_file("max-workers = 6\n[slave]\nmax-workers = 7");
    assert_eq!(user.slave(&["-t", "echo"]).max_workers, 7);
    assert_eq!(user.run(&["-t", "echo"]).workers, 6, "another command's section means nothing");
    let user = user.with_variable("SIMPLEGRID_MAX_WORKERS", "8");
    assert_eq!(user.slave(&["-t", "echo"]).max_workers, 8);
    assert_eq!(user.run(&["-t", "echo"]).workers, 8);
    assert_eq!(user.slave(&["-t", "echo", "-m", "9"]).max_workers, 9);
}

#[test]
fn a_required_flag_may_come_from_any_layer() {
    assert_eq!(User::new().with_file("task = 'from-file'").slave(&[]).task, "from-file");
    assert_eq!(User::new().with_variable("SIMPLEGRID_TASK", "from-variable").run(&[]).task, "from-variable");
}

#[test]
fn switches_can_be_set_and_unset() {
    let user =
        User::new().with_file("keep-order = true\nheader = true").with_variable("SIMPLEGRID_HEADER", "no");
    let run = user.run(&["-t", "echo"]).run;
    assert!(run.keep_order && !run.header);
    assert!(user.run(&["-t", "echo", "--header"]).run.header);
}

#[test]
fn a_list_comes_from_one_layer_as_a_whole() {
    let user = User::new().with_file("[slave]\ntask-arg = { a = 1, b = true }");
    assert_eq!(user.slave(&["-t", "echo"]).task_args, [pair("a", "1"), pair("b", "true")]);
    assert_eq!(user.slave(&["-t", "echo", "--task-arg", "c=d=e"]).task_args, [pair("c", "d=e")]);
    let user = user.with_variable("SIMPLEGRID_TASK_ARG", "greeting=hello world\nlist=a,b;c\n");
    assert_eq!(
        user.slave(&["-t", "echo"]).task_args,
        [pair("greeting", "hello world"), pair("list", "a,b;c")]
    );
}

#[test]
fn an_empty_variable_is_not_set() {
    let user = User::new().with_variable("SIMPLEGRID_PORT", "").with_variable("SIMPLEGRID_OUTPUT", "");
    assert_eq!(user.slave(&["-t", "echo"]).port, 1337);
    assert_eq!(user.run(&["-t", "echo"]).run.output, None);
}

#[test]
fn a_variable_of_another_command_is_not_looked_at() {
    let user = User::new().with_variable("SIMPLEGRID_PORT", "many");
    assert_eq!(user.run(&["-t", "echo"]).task, "echo");
    assert!(user.load(&["slave", "-t", "echo"]).is_err());
}

#[test]
fn the_defaults_are_those_of_net_simplegrid_where_it_had_them() {
    let user = User::new();
    let slave = user.slave(&["-t", "echo"]);
    assert_eq!((slave.port, slave.max_workers, slave.sample_rate), (1337, 5, Duration::from_secs(60)));
    assert_eq!(slave.task_path, ["/opt/grid", "/opt/grid/deps"].map(PathBuf::from));
    assert_eq!(slave.registry.address, format!("sqlite:{}", user.path(".local/state/simplegrid/grid.db")));
    assert!(slave.registry.is_default);
    let master = user.master(&[]);
    assert_eq!((master.max_reserve, master.shutdown_slaves, master.run.retries), (Some(20), false, 2));
    assert_eq!(master.run.max_record_bytes, crate::limits::RECORD_BYTES_MAX);
    assert_eq!(user.run(&["-t", "echo"]).workers, 4, "as many as this machine has cores");
    let manager = user.node_manager(&["enable"]);
    assert_eq!((manager.hostname.as_str(), manager.port), ("127.0.0.1", 1337));
}

#[test]
fn without_a_home_a_registry_must_be_named() {
    let load = |words: &[&str]| load(words.iter().map(OsString::from), &Environment::of(&[]));
    assert!(matches!(load(&["simplegrid", "master"]), Err(InvocationError::Config(ConfigError::NoRegistry))));
    assert!(load(&["simplegrid", "master", "--registry", "sqlite:/g.db"]).is_ok());
    assert!(load(&["simplegrid", "run", "-t", "echo"]).is_ok());
}

#[test]
fn the_report_says_what_is_in_force_and_from_where() {
    let user = User::new()
        .with_file(
            "port = 2000\n[slave]\nmax-workers = 7\nmanager-arg = ['username=grid', 'password=s3cret']\n",
        )
        .with_variable("SIMPLEGRID_REGISTRY", "postgres://grid:s3cret@db/grid")
        .with_variable("SIMPLEGRID_KEEP_ORDER", "1");
    let report = user.report();
    assert!(!report.contains("s3cret"));
    insta::assert_snapshot!(report);
}
