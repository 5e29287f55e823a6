//! Which nodes fit into a run: those whose rows can stand beside the others in one output. The first node, or
//! the journal, decides what that is. Pure.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::build::Digest;
use crate::master::output::TaskIdentity;
use crate::registry::{Node, NodeKey, NodeState, Wanted};
use crate::wire::{SinkPlace, Welcome};

/// How long a node that did not fit is not reserved again: its slave may have been started anew, with another
/// build or sink and by chance the same process number, as in a container.
const PASSED_OVER_FOR: Duration = Duration::from_secs(60);

/// The most nodes that a reservation names as not wanted. What the rows say keeps others away.
const PASSED_OVER_MAX: usize = 100;

/// Nodes that a message names.
const NAMED_MAX: usize = 3;

/// Letters of a name that a message shows. Other machines have sent it.
const NAME_SHOWN: usize = 100;

/// What the user asks of builds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BuildRules {
    /// Every node must have the same build; otherwise, the same columns are enough.
    pub same_version: bool,
    /// The file that every node must have.
    pub expected_file: Option<Digest>,
}

/// What a node must be to take part in a run.
#[derive(Debug)]
pub(super) struct Fitness {
    rules: BuildRules,
    /// The task of the run, once it is known,
    task: Option<TaskIdentity>,
    /// from the run's journal, and not from a node,
    is_from_journal: bool,
    /// and where its rows go: `Some(None)` if they come to the master.
    sink: Option<Option<SinkPlace>>,
    /// Whether it was said that nodes write files into several directories.
    has_said_directories: bool,
    passed_over: Vec<PassedOver>,
    said: BTreeSet<(NodeKey, String)>,
}

/// A node that did not fit.
#[derive(Debug)]
struct PassedOver {
    key: NodeKey,
    pid: u32,
    until: Instant,
}

impl Fitness {
    /// For a run whose task is known if it goes on with a journal.
    pub(super) fn new(rules: BuildRules, journaled: Option<TaskIdentity>) -> Self {
        let is_from_journal = journaled.is_some();
        let (passed_over, said) = (Vec::new(), BTreeSet::new());
        let (sink, has_said_directories) = (None, false);
        Self { rules, task: journaled, is_from_journal, sink, has_said_directories, passed_over, said }
    }

    /// Which nodes are worth reserving.
    pub(super) fn wanted(&mut self, now: Instant) -> Wanted {
        self.passed_over.retain(|node| node.until > now);
        let pinned = self.task.as_ref().filter(|_| self.rules.same_version).map(|task| task.build);
        Wanted {
            task: self.task.as_ref().map(|task| task.name.clone()),
            columns: self.task.as_ref().map(|task| task.output.digest(&task.name)),
            manifest: pinned.map(|build| build.manifest),
            file: self.rules.expected_file.or_else(|| pinned.map(|build| build.file)),
            except: self.passed_over.iter().map(|node| (node.key.clone(), node.pid)).collect(),
        }
    }

    /// Whether the user asks for one build.
    pub(super) fn is_pinned(&self) -> bool {
        self.rules.same_version || self.rules.expected_file.is_some()
    }

    /// Judges a node that has been reserved, by what its slave says. The first that fits decides for all
    /// others.
    ///
    /// # Errors
    /// Why it does not fit.
    pub(super) fn judge(&mut self, welcome: &Welcome) -> Result<(), String> {
        if let Some(expected) = self.rules.expected_file.filter(|file| *file != welcome.build.file) {
            let (its, expected) = (welcome.build.file.short(), expected.short());
            return Err(format!("its task is from the file {its}, and --expect-task asks for {expected}"));
        }
        let its = TaskIdentity::of(welcome);
        if let Some(task) = &self.task {
            let Self { rules, .. } = self;
            misfit(task, &its, rules.same_version).map_or(Ok(()), Err)?;
        }
        let its_sink = &welcome.sink;
        if let Some(sink) = self.sink.as_ref().filter(|sink| !can_be_mixed(sink, its_sink)) {
            let name = |sink: &Option<SinkPlace>| {
                sink.as_ref().map_or_else(|| "the master".to_owned(), |sink| sink.name.clone())
            };
            let (its, ours) = (name(its_sink), name(sink));
            return Err(format!("its rows go to {its}, and those of this run to {ours}"));
        }
        self.task.get_or_insert(its);
        self.sink.get_or_insert_with(|| its_sink.clone());
        Ok(())
    }

    /// Whether a node that fits is the first that writes its files into another directory than the others, so
    /// that this is to be said.
    pub(super) fn is_first_elsewhere(&mut self, welcome: &Welcome) -> bool {
        let is_elsewhere = self.sink.as_ref().is_some_and(|sink| *sink != welcome.sink);
        is_elsewhere && !std::mem::replace(&mut self.has_said_directories, true)
    }

    /// A node does not fit, and is given back. It is not reserved again soon, and `true` if that is to be
    /// said: once for each reason.
    pub(super) fn pass_over(&mut self, node: &Node, why: &str, now: Instant) -> bool {
        if let Some(pid) = node.pid {
            if self.passed_over.len() == PASSED_OVER_MAX {
                self.passed_over.remove(0);
            }
            let until = now + PASSED_OVER_FOR;
            self.passed_over.push(PassedOver { key: node.key.clone(), pid, until });
        }
        self.said.insert((node.key.clone(), why.to_owned()))
    }

    /// Why none of these nodes could be used, if that is because of what they run.
    pub(super) fn why_none(&self, nodes: &[Node], now: i64) -> Option<String> {
        let free = nodes.iter().filter(|node| {
            node.state == NodeState::Enabled && node.last_seen.is_some() && !node.is_silent(now)
        });
        let unfit: Vec<_> = free.filter_map(|node| Some((node, self.row_misfit(node)?))).collect();
        if unfit.is_empty() {
            return None;
        }
        let named = |(node, why): &(&Node, String)| format!("{} ({why})", node.key);
        let mut names: Vec<_> = unfit.iter().take(NAMED_MAX).map(named).collect();
        if unfit.len() > names.len() {
            names.push(format!("{} more", unfit.len() - names.len()));
        }
        let (count, names) = (unfit.len(), names.join(", "));
        let is_of_task = |(node, _): &(&Node, String)| {
            self.task.as_ref().is_none_or(|task| node.task.as_ref() == Some(&task.name))
        };
        let what = if unfit.iter().all(is_of_task) { "another build" } else { "another task or build" };
        let run = if count == 1 { "node runs" } else { "nodes run" };
        Some(format!("{count} {run} {what}: {names}; {}", self.asked_for()))
    }

    /// In what a row differs from what the run needs.
    fn row_misfit(&self, node: &Node) -> Option<String> {
        let file = node.file_sha256.as_deref().and_then(|text| text.parse::<Digest>().ok());
        let shown = file.map_or_else(|| "unknown".to_owned(), |file| file.short());
        let is = |column: &Option<String>, digest: Digest| column.as_deref() == Some(&digest.to_string());
        if let Some(task) = &self.task {
            if node.task.as_ref() != Some(&task.name) {
                return Some(format!("task {:.NAME_SHOWN$}", node.task.as_deref().unwrap_or("unknown")));
            }
            if !is(&node.columns_sha256, task.output.digest(&task.name)) {
                return Some(format!("other columns, file {shown}"));
            }
            let is_same = is(&node.manifest_sha256, task.build.manifest) && file == Some(task.build.file);
            if self.rules.same_version && !is_same {
                return Some(format!("file {shown}"));
            }
        }
        let is_unexpected = self.rules.expected_file.is_some_and(|expected| file != Some(expected));
        is_unexpected.then(|| format!("file {shown}"))
    }

    /// What the run asks for, and why.
    fn asked_for(&self) -> String {
        if let Some(expected) = self.rules.expected_file {
            return format!("--expect-task asks for the file {expected}");
        }
        let Some(task) = &self.task else { return "this run takes any".to_owned() };
        let TaskIdentity { name, build, .. } = task;
        let source = if self.is_from_journal { "the journal was begun" } else { "this run was begun" };
        let strictness = if self.rules.same_version { ", and --same-version asks for that" } else { "" };
        format!("{source} with the task {name:.NAME_SHOWN$} ({build}){strictness}")
    }
}

/// Whether rows of one run may go to both: files in two directories are as good as files in one, as long as
/// nothing is lost.
fn can_be_mixed(sink: &Option<SinkPlace>, other: &Option<SinkPlace>) -> bool {
    let are_files = |sink: &Option<SinkPlace>| sink.as_ref().is_some_and(|sink| sink.has_files);
    sink == other || (are_files(sink) && are_files(other))
}

/// In what a node's task differs from that of the run.
fn misfit(task: &TaskIdentity, its: &TaskIdentity, same_version: bool) -> Option<String> {
    if task.name != its.name {
        let (its, ours) = (&its.name, &task.name);
        return Some(format!(
            "it runs the task {its:.NAME_SHOWN$}, and this run the task {ours:.NAME_SHOWN$}"
        ));
    }
    if let Some(difference) = task.output.difference(&its.output, ("in this run", "there")) {
        return Some(format!("its task has other columns: {difference}"));
    }
    (same_version && task.build != its.build).then(|| {
        format!(
            "it runs another build ({}) than this run ({}), and --same-version forbids that",
            its.build, task.build
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Build;
    use crate::plugin::{Column, Kind, OutputKind, TaskOutput};

    fn welcome(columns: &[&str], file: &str) -> Welcome {
        let column = |name: &&str| Column { name: (*name).to_owned(), kind: Kind::Text, nullable: false };
        let columns = columns.iter().map(column).collect();
        Welcome {
            task: "t".to_owned(),
            task_version: "1".to_owned(),
            output: TaskOutput { kind: OutputKind::Rows, columns },
            build: Build { manifest: Digest::of(b"m"), file: Digest::of(file.as_bytes()) },
            slots: 1,
            program: "1".to_owned(),
            sink: None,
        }
    }

    fn node(port: u16, welcome: &Welcome) -> Node {
        Node {
            key: NodeKey::new("n", port),
            start_time: Some(0),
            state: NodeState::Enabled,
            reserved_by: None,
            children: Some(1),
            task: Some(welcome.task.clone()),
            task_version: None,
            advertise: None,
            lease_until: None,
            last_seen: Some(0),
            done: None,
            failed: None,
            rate: None,
            pid: Some(u32::from(port)),
            version: None,
            columns_sha256: Some(welcome.output.digest(&welcome.task).to_string()),
            manifest_sha256: Some(welcome.build.manifest.to_string()),
            file_sha256: Some(welcome.build.file.to_string()),
        }
    }

    #[test]
    fn the_first_node_decides_which_columns_the_others_need() {
        let mut fitness = Fitness::new(BuildRules::default(), None);
        assert_eq!(fitness.wanted(Instant::now()), Wanted::default());
        let first = welcome(&["a", "b"], "1");
        fitness.judge(&first).unwrap();
        fitness.judge(&welcome(&["a", "b"], "2")).expect("another file of the same columns fits");
        let error = fitness.judge(&welcome(&["a", "c"], "1")).unwrap_err();
        assert_eq!(
            error,
            "its task has other columns: column 2 is `c` (text) there, and `b` (text) in this run"
        );
        let error = fitness.judge(&Welcome { task: "u".to_owned(), ..first.clone() }).unwrap_err();
        assert_eq!(error, "it runs the task u, and this run the task t");
        let sink = Some(SinkPlace { name: "s".to_owned(), has_files: false });
        let error = fitness.judge(&Welcome { sink, ..first.clone() }).unwrap_err();
        assert_eq!(error, "its rows go to s, and those of this run to the master");
        let wanted = fitness.wanted(Instant::now());
        assert_eq!((wanted.task.as_deref(), wanted.file), (Some("t"), None));
        assert_eq!(wanted.columns, Some(first.output.digest("t")));
    }

    #[test]
    fn what_does_not_fit_decides_nothing() {
        let expected_file = Some(Digest::of(b"2"));
        let mut fitness = Fitness::new(BuildRules { same_version: false, expected_file }, None);
        assert!(fitness.judge(&welcome(&["a"], "1")).unwrap_err().contains("--expect-task asks for"));
        fitness.judge(&welcome(&["a", "b"], "2")).unwrap();
        assert_eq!(fitness.wanted(Instant::now()).file, expected_file);
    }

    #[test]
    fn with_same_version_only_the_same_build_fits() {
        let rules = BuildRules { same_version: true, expected_file: None };
        let mut fitness = Fitness::new(rules, None);
        let first = welcome(&["a"], "1");
        fitness.judge(&first).unwrap();
        fitness.judge(&first).unwrap();
        assert!(fitness.judge(&welcome(&["a"], "2")).unwrap_err().contains("--same-version forbids that"));
        let wanted = fitness.wanted(Instant::now());
        assert_eq!((wanted.file, wanted.manifest), (Some(first.build.file), Some(first.build.manifest)));
    }

    #[test]
    fn the_journal_decides_before_any_node_does() {
        let task = TaskIdentity::of(&welcome(&["a", "b"], "1"));
        let mut fitness = Fitness::new(BuildRules::default(), Some(task));
        let other = welcome(&["a"], "1");
        fitness.judge(&other).unwrap_err();
        fitness.judge(&welcome(&["a", "b"], "2")).unwrap();
        let why = fitness.why_none(&[node(1, &other)], 0).unwrap();
        assert!(why.starts_with("1 node runs another build: n:1 (other columns, file "), "{why}");
        assert!(why.contains("; the journal was begun with the task t (file "), "{why}");
    }

    #[test]
    fn a_node_that_does_not_fit_is_passed_over_for_a_while_and_named_once() {
        let mut fitness = Fitness::new(BuildRules::default(), None);
        let (now, other) = (Instant::now(), node(1, &welcome(&["a"], "1")));
        assert!(fitness.pass_over(&other, "why", now));
        assert_eq!(fitness.wanted(now).except, [(NodeKey::new("n", 1), 1)]);
        let later = now + PASSED_OVER_FOR;
        assert!(fitness.wanted(later).except.is_empty());
        assert!(!fitness.pass_over(&other, "why", later));
        for port in 0..300 {
            fitness.pass_over(&node(port, &welcome(&["a"], "1")), "why", later);
        }
        assert_eq!(fitness.wanted(later).except.len(), PASSED_OVER_MAX);
    }

    #[test]
    fn why_no_node_was_used_is_read_from_the_rows() {
        let expected = welcome(&["a"], "expected");
        let rules = BuildRules { same_version: false, expected_file: Some(expected.build.file) };
        let fitness = Fitness::new(rules, None);
        let others: Vec<_> = (1..6).map(|port| node(port, &welcome(&["a"], "other"))).collect();
        let why = fitness.why_none(&others, 0).unwrap();
        assert!(why.starts_with("5 nodes run another build: n:1 (file "), "{why}");
        assert!(why.contains("2 more; --expect-task asks for the file "), "{why}");
        assert_eq!(fitness.why_none(&[node(1, &expected)], 0), None, "it is busy, or fits");
        assert_eq!(fitness.why_none(&others, 100), None, "they are silent");
    }
}
