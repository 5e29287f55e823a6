//! What flags mean together, and which of them contradict each other.

use super::*;

#[test]
fn the_command_lines_of_net_simplegrid_are_understood() {
    let user = User::new();
    let slave = user.slave(&[
        "-p",
        "1338",
        "--max_workers",
        "2",
        "--task_class",
        "echo",
        "--task_arg",
        "a=b",
        "--manager_arg=domain=local",
        "-q",
        "--sample_rate_secs",
        "15",
    ]);
    assert_eq!((slave.port, slave.max_workers, slave.hostname.as_str()), (1338, 2, "here.local"));
    assert!(slave.sample_rate.as_secs() == 15);
    let master = user.master(&[
        "--manager_arg=dsn=dbi:mysql:g@h:3306",
        "--manager_arg=scheduler=Net::SimpleGrid::Scheduler::PartitionedStrategy::ByEmailDomain",
        "--shutdown_slaves",
        "--max_reserve=10",
        "--init_slave_cmd",
        "scpto=u@h:d",
    ]);
    assert_eq!(master.registry.address, "dbi:mysql:g@h:3306");
    assert_eq!(master.run.partition_by.as_deref(), Some("email-domain:by-email-domain"));
    assert_eq!((master.max_reserve, master.harvest.as_deref()), (Some(10), Some("u@h:d")));
    assert!(master.init_commands.is_empty(), "a harvest is no command for the start");
    let manager =
        user.node_manager(&["--hostname", "h", "--port", "7", "--manager_args=dsn=x.db", "disable"]);
    assert_eq!(
        (manager.hostname.as_str(), manager.port, manager.registry.address.as_str()),
        ("h", 7, "x.db")
    );
    assert_eq!(manager.verb, NodeVerb::Disable);
}

#[test]
fn h_is_the_host_name_before_and_after_the_verb() {
    let user = User::new();
    for words in [["-h", "node7", "release"], ["release", "-h", "node7"]] {
        let manager = user.node_manager(&words);
        assert_eq!((manager.hostname.as_str(), manager.verb), ("node7", NodeVerb::Release));
    }
    assert_eq!(user.node_manager(&["list", "--json"]).verb, NodeVerb::List { json: true });
    assert!(user.error(&["node-manager", "-h", "node7", "list"]).contains("leave out --hostname"));
    let user = user.with_variable("SIMPLEGRID_HOSTNAME", "node8");
    assert_eq!(user.node_manager(&["list"]).verb, NodeVerb::List { json: false });
    assert_eq!(user.node_manager(&["enable"]).hostname, "node8");
}

#[test]
fn a_negative_number_reserves_all() {
    let user = User::new();
    assert_eq!(user.master(&["-m", "-1"]).max_reserve, None);
    assert_eq!(user.master(&["--max-reserve=-5"]).max_reserve, None);
    assert_eq!(user.master(&["-m", "7"]).max_reserve, Some(7));
    assert_eq!(User::new().with_file("max-reserve = -1").master(&[]).max_reserve, None);
    assert!(user.error(&["master", "-m", "0"]).contains("--max-reserve must be positive"));
}

#[test]
fn s_is_what_it_was_in_each_program_of_net_simplegrid() {
    let user = User::new();
    assert!(user.master(&["-s"]).shutdown_slaves);
    assert_eq!(user.slave(&["-t", "echo", "-s", "2m"]).sample_rate.as_secs(), 120);
}

#[test]
fn the_registry_is_named_by_flag_or_dsn_whichever_is_stronger() {
    let dsn = "--manager-arg=dsn=dbi:Pg:g";
    let user = User::new();
    assert_eq!(user.master(&[dsn]).registry.address, "dbi:Pg:g");
    assert!(!user.master(&[dsn]).registry.is_default);
    assert_eq!(user.master(&[dsn, "--registry", "sqlite:/g"]).registry.address, "sqlite:/g");
    let user = user.with_file("registry = 'sqlite:/file'");
    assert_eq!(user.master(&[]).registry.address, "sqlite:/file");
    assert_eq!(user.master(&[dsn]).registry.address, "dbi:Pg:g");
    let user = user.with_variable("SIMPLEGRID_MANAGER_ARG", "dsn=dbi:Pg:variable");
    assert_eq!(user.master(&[]).registry.address, "dbi:Pg:variable");
    assert_eq!(user.master(&["--registry", "sqlite:/g"]).registry.address, "sqlite:/g");
}

#[test]
fn a_key_implies_the_partitioned_scheduler_and_the_scheduler_a_key() {
    let user = User::new();
    let choice = |user: &User, words: &[&str]| user.master(words).run.partition_by;
    let partitioned = |key: &str| Some(key.to_owned());
    let round_robin = None;
    assert_eq!(choice(&user, &[]), round_robin);
    assert_eq!(choice(&user, &["--partition-by", "field:0"]), partitioned("field:0"));
    assert_eq!(choice(&user, &["--scheduler", "partitioned"]), partitioned("whole-record"));
    assert_eq!(choice(&user, &["--manager-arg", "scheduler=partitioned"]), partitioned("whole-record"));
    let both = ["--scheduler", "round-robin", "--manager-arg", "scheduler=partitioned"];
    assert_eq!(choice(&user, &both), round_robin, "in the same place, the flag");
    let user = user.with_file("partition-by = 'field:1'");
    assert_eq!(choice(&user, &[]), partitioned("field:1"));
    assert_eq!(choice(&user, &["--scheduler", "round-robin"]), round_robin);
    let user = user.with_file("scheduler = 'round-robin'");
    assert_eq!(choice(&user, &["--partition-by", "field:2"]), partitioned("field:2"));
    let contradiction = ["master", "--scheduler", "round-robin", "--partition-by", "field:2"];
    assert!(user.error(&contradiction).contains("needs --scheduler partitioned"));
}

#[test]
fn no_limit_is_zero_or_nothing() {
    let user = User::new().with_file("record-timeout = '5s'");
    assert_eq!(user.run(&["-t", "echo"]).run.record_timeout.unwrap().as_secs(), 5);
    assert_eq!(user.run(&["-t", "echo", "--record-timeout", "0"]).run.record_timeout, None);
    assert_eq!(User::new().slave(&["-t", "echo"]).record_timeout, None);
}

#[test]
fn files_that_cannot_be_used_are_found_before_the_run_begins() {
    let user = User::new();
    let (here, deep) = (user.path("rows"), user.path("no/rows"));
    assert!(user.load(&["run", "-t", "echo", "-o", &here, "--failed", "/dev/null"]).is_ok());
    assert_eq!(user.run(&["-t", "echo", "-o", "-"]).run.output, None);
    let text = user.error(&["run", "-t", "echo", "-o", &deep]);
    assert_eq!(text, "cannot write --output ~/no/rows: there is no directory ~/no; create it first");
    let text = user.error(&["run", "-t", "echo", "--failed", &user.path("")]);
    assert!(text.contains("it is a directory"), "{text}");
    let text = user.error(&["run", "-t", "echo", "-", &here]);
    assert!(text.starts_with("cannot read the input ~/rows: No such file"), "{text}");
}

#[test]
fn a_journal_needs_files_that_can_be_continued() {
    let user = User::new();
    let (rows, journal) = (user.path("rows"), user.path("journal"));
    let error = |words: &[&str]| {
        let words = [&["run", "-t", "echo", "--journal", &journal], words].concat();
        user.error(&words)
    };
    let settings = user.run(&["-t", "echo", "-o", &rows, "--journal", &journal]).run;
    assert_eq!(settings.journal, Some(journal.clone().into()));
    for output in [&[][..], &["-o", "-"]] {
        let text = error(output);
        assert!(text.starts_with("cannot keep --journal ~/journal: it needs --output FILE"), "{text}");
    }
    let text = error(&["-o", "/dev/null"]);
    assert!(
        text.ends_with("--output /dev/null is not an ordinary file, so a later run cannot continue it"),
        "{text}"
    );
    let text = error(&["-o", &rows, "--failed", "/dev/stderr"]);
    assert!(text.contains("--failed /dev/stderr is not an ordinary file"), "{text}");
    let text = error(&["-o", "/proc/self/fd/1"]);
    assert!(text.contains("--output /proc/self/fd/1 is not an ordinary file"), "{text}");
}

#[test]
fn masters_are_told_an_address_that_works() {
    let user = User::new();
    let host = |words: &[&str]| {
        let words: Vec<&str> = ["-t", "echo"].into_iter().chain(words.iter().copied()).collect();
        user.slave(&words).host_for_masters()
    };
    assert_eq!(host(&[]), "127.0.0.1");
    assert_eq!(host(&["--listen", "0.0.0.0", "--manager-arg", "domain=local"]), "here.local");
    assert_eq!(host(&["--listen", "::"]), "here");
    assert_eq!(host(&["--listen", "10.0.0.1"]), "here");
    assert_eq!(host(&["--listen", "10.0.0.1", "--advertise", "node7"]), "node7");
}

#[test]
fn quiet_runs_draw_no_progress() {
    let user = User::new();
    assert_eq!(user.run(&["-t", "echo"]).run.progress, Progress::Auto);
    assert_eq!(user.run(&["-t", "echo", "-q", "--progress", "always"]).run.progress, Progress::Never);
    let invocation = user.load(&["-vv", "run", "-t", "echo", "-q"]).unwrap();
    assert_eq!((invocation.log.verbose, invocation.log.quiet, invocation.log.role), (2, true, "run"));
}

#[test]
fn the_registrys_server_is_named_in_the_file_and_the_environment_wins() {
    let shown = |user: &User, words: &[&str]| user.master(words).registry.url().unwrap().to_string();
    let text = "registry = \"mysql://g@old/d\"\nregistry-server = \"file\"";
    let user = User::new().with_file(text);
    assert_eq!(shown(&user, &[]), "mysql://g@file/d");
    // An address from a stronger source counts as it is, unless it names no host.
    assert_eq!(shown(&user, &["--registry", "mysql://g@other/d"]), "mysql://g@other/d");
    assert_eq!(shown(&user, &["--manager-arg", "dsn=dbi:mysql:database=d"]), "mysql://file/d");
    assert_eq!(shown(&user, &["--registry", "sqlite:f"]), "sqlite:f");
    let user = user.with_variable("SIMPLEGRID_REGISTRY_SERVER", "variable:7");
    assert_eq!(shown(&user, &[]), "mysql://g@variable:7/d");
}
