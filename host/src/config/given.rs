//! What a command's struct is made from, besides its flags.

use super::environment::Environment;
use super::layers::Settings;

/// What a command's struct is made from, besides its flags.
pub(super) struct Given<'a> {
    /// Where the value of each flag comes from.
    pub settings: Settings,
    /// What surrounds the process.
    pub environment: &'a Environment,
}
