//! Two network namespaces with a cable between them, for tests that break a network. They are deleted when
//! they are dropped; nothing outside them is touched.

use std::process::{self, Command, Output};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Namespaces that this process has made: their names must differ.
static MADE: AtomicU32 = AtomicU32::new(0);

/// Two namespaces, each with an end of a cable.
#[derive(Debug)]
pub struct Namespaces {
    names: [String; 2],
}

impl Namespaces {
    /// The address of each end.
    pub const ADDRESSES: [&str; 2] = ["10.213.77.1", "10.213.77.2"];

    /// Makes them.
    ///
    /// # Errors
    /// Why this machine does not allow it.
    pub fn make() -> Result<Self, String> {
        if !nix::unistd::geteuid().is_root() {
            return Err("only root can make network namespaces".to_owned());
        }
        let nth = MADE.fetch_add(1, Relaxed);
        let names = ["a", "b"].map(|end| format!("sg-{}-{nth}-{end}", process::id()));
        let made = Self { names };
        let [a, b] = &made.names;
        ip(&format!("netns add {a}"))?;
        ip(&format!("netns add {b}"))?;
        ip(&format!("-n {a} link add cable type veth peer name cable netns {b}"))?;
        for (name, address) in made.names.iter().zip(Self::ADDRESSES) {
            ip(&format!("-n {name} address add {address}/24 dev cable"))?;
            ip(&format!("-n {name} link set lo up"))?;
            ip(&format!("-n {name} link set cable up"))?;
        }
        Ok(made)
    }

    /// The name of one: 0 or 1.
    pub fn name(&self, which: usize) -> &str {
        &self.names[which]
    }

    /// Pulls the cable at one end, or plugs it in again.
    pub fn set_cable(&self, which: usize, state: &str) {
        let name = &self.names[which];
        ip(&format!("-n {name} link set cable {state}")).expect("the cable is there");
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.names {
            // A namespace that could not be made does not exist.
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let ran = Command::new("ip").args(arguments.split(' ')).output();
    let Output { status, stderr, .. } = ran.map_err(|error| format!("`ip` cannot be run: {error}"))?;
    let words = String::from_utf8_lossy(&stderr);
    if status.success() { Ok(()) } else { Err(format!("`ip {arguments}` failed: {}", words.trim())) }
}
