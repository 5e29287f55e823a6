//! `simplegrid node-manager`: looks after the rows of the registry, and ends slaves.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

use crate::build::Digest;
use crate::config::{NodeManagerConfig, NodeVerb};
use crate::exit_code::{ExitStatus, UsageError};
use crate::registry::{Listing, Node, NodeKey, NodeState, Registry};
use crate::wire::{self, MasterToSlave};
use crate::{runtime, stderr, stdout};

/// How long the node manager waits for a slave to end: twice the usual time to drain.
const END_MAX: Duration = Duration::from_secs(60);

/// How often it looks at the slave's row meanwhile: a person does not notice the delay.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Characters of a version that are shown: another machine has sent it.
const SHOWN_MAX: usize = 100;

/// Does to a node what the command line says, or lists all nodes.
///
/// # Errors
/// If there is no such node, the change is not allowed, or the registry fails.
pub(crate) fn run(config: &NodeManagerConfig) -> anyhow::Result<ExitStatus> {
    runtime::run(manage(config))
}

async fn manage(config: &NodeManagerConfig) -> anyhow::Result<ExitStatus> {
    let url = config.registry.url().map_err(UsageError::mark)?;
    let registry = Registry::open(&url).await?;
    let key = NodeKey::new(&config.hostname, config.port);
    match config.verb {
        NodeVerb::Enable => say(&registry.enable(&key).await?),
        NodeVerb::Disable => say(&registry.disable(&key).await?),
        NodeVerb::Release => say(&registry.release(&key).await?),
        NodeVerb::Shutdown => shut_down(&registry, &key).await,
        NodeVerb::Reload { all: true } => reload_all(&registry).await,
        NodeVerb::Reload { all: false } => {
            let (node, now) = find(&registry, &key).await?;
            reload(&node, now).await?;
            Ok(ExitStatus::Done)
        }
        NodeVerb::Prune { silent_for } => {
            for key in registry.prune(silent_for).await? {
                stderr::say_last(format_args!("{key} has been removed"));
            }
            Ok(ExitStatus::Done)
        }
        NodeVerb::List { json: true } => {
            let nodes = serde_json::to_string_pretty(&registry.list().await?)?;
            stdout::print(&(nodes + "\n"))
        }
        NodeVerb::List { json: false } => {
            let listing = registry.listing().await?;
            stdout::print(&table(&listing.nodes, listing.now))
        }
    }
}

fn say(node: &Node) -> anyhow::Result<ExitStatus> {
    stderr::say_last(format_args!("{} is {}", node.key, node.state.as_str()));
    Ok(ExitStatus::Done)
}

fn say_ended(key: &NodeKey) -> anyhow::Result<ExitStatus> {
    stderr::say_last(format_args!("{key} has ended"));
    Ok(ExitStatus::Done)
}

/// Asks a slave to end, and waits until it has ended.
async fn shut_down(registry: &Registry, key: &NodeKey) -> anyhow::Result<ExitStatus> {
    let (node, now) = find(registry, key).await?;
    if node.is_of_net_simplegrid() {
        bail!(
            "the row of {key} belongs to a slave of Net::SimpleGrid, which would take our request for a record; end it \
             with the signal INT, or with the line `:done=0` to its port"
        );
    }
    if node.has_ended() {
        return say_ended(key);
    }
    check_alive(&node, now)?;
    wire::tell(&node.address(), MasterToSlave::Shutdown).await?;
    let deadline = Instant::now() + END_MAX;
    while Instant::now() < deadline {
        match registry.find(key).await? {
            Some(node) if node.pid.is_some() || node.state != NodeState::Disabled => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            _ => return say_ended(key),
        }
    }
    bail!(
        "{key} was asked to end but is still finishing its records; `simplegrid node-manager list` shows when it is disabled"
    )
}

async fn find(registry: &Registry, key: &NodeKey) -> anyhow::Result<(Node, i64)> {
    let Listing { nodes, now } = registry.listing().await?;
    let Some(node) = nodes.into_iter().find(|node| node.key == *key) else {
        bail!("there is no node {key}; `simplegrid node-manager list` shows all");
    };
    Ok((node, now))
}

fn check_alive(node: &Node, now: i64) -> anyhow::Result<()> {
    if node.is_silent(now) {
        let (key, seconds) = (&node.key, now - node.last_seen.unwrap_or(now));
        let pid = node.pid.map_or_else(String::new, |pid| format!(" {pid}"));
        bail!(
            "the slave of {key} has said nothing for {seconds} s: its process{pid} is gone or stopped, and another \
             program may have its port; end the process on its machine, and `disable` the row"
        );
    }
    Ok(())
}

/// Has one slave reload its library, and waits until its workers have changed over.
async fn reload(node: &Node, now: i64) -> anyhow::Result<()> {
    let key = &node.key;
    if node.is_of_net_simplegrid() {
        bail!(
            "the row of {key} belongs to a slave of Net::SimpleGrid, which cannot reload its task; start it anew"
        );
    }
    if node.has_ended() {
        bail!("the slave of {key} has ended: it loads the library as it is when you start it again");
    }
    check_alive(node, now)?;
    let (build, version) = wire::reload(&node.address()).await?;
    stderr::say_last(format_args!("{key} has reloaded its library: version {version:.SHOWN_MAX$}, {build}"));
    Ok(())
}

/// Reloads the slaves that run, one after the other, up to the first that refuses.
async fn reload_all(registry: &Registry) -> anyhow::Result<ExitStatus> {
    let Listing { nodes, now } = registry.listing().await?;
    let running: Vec<_> =
        nodes.into_iter().filter(|node| !node.is_of_net_simplegrid() && !node.has_ended()).collect();
    if running.is_empty() {
        bail!("no slave runs that could be reloaded; `simplegrid node-manager list` shows all nodes");
    }
    for (done, node) in running.iter().enumerate() {
        if let Err(error) = reload(node, now).await {
            let left = running.len() - done - 1;
            bail!(
                "{error}; {done} of {} slaves were reloaded before, and {left} were not asked",
                running.len()
            );
        }
    }
    Ok(ExitStatus::Done)
}

/// A table of all nodes, for people.
fn table(nodes: &[Node], now: i64) -> String {
    if nodes.is_empty() {
        return "no nodes: start one with `simplegrid slave --task NAME`\n".to_owned();
    }
    let header =
        ["NODE", "STATE", "TASK", "BUILD", "WORKERS", "DONE", "FAILED", "RATE/S", "SEEN", "RESERVED BY"];
    let mut rows = vec![header.map(str::to_owned)];
    rows.extend(nodes.iter().map(|node| row(node, now)));
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..header.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(node: &Node, now: i64) -> [String; 10] {
    let or_dash =
        |text: Option<String>| text.filter(|text| !text.is_empty()).unwrap_or_else(|| "-".to_owned());
    let build = node.file_sha256.as_ref().and_then(|text| text.parse::<Digest>().ok());
    let seen = node.last_seen.map(|seen| format!("{} s ago", (now - seen).max(0)));
    [
        node.key.to_string(),
        node.state.as_str().to_owned(),
        or_dash(node.task.clone()),
        or_dash(build.map(|build| build.short())),
        or_dash(node.children.map(|children| children.to_string())),
        or_dash(node.done.map(|done| done.to_string())),
        or_dash(node.failed.map(|failed| failed.to_string())),
        or_dash(node.rate.map(|rate| format!("{rate:.1}"))),
        or_dash(seen),
        or_dash(node.reserved_by.clone()),
    ]
}
