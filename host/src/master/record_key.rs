//! Where partition keys come from: a field, the record itself, or a plugin's partitioner, which runs in a
//! process of its own.

use super::decisions::{KeyOf, KeySource};
use super::key_process::KeyPlan;
use crate::config::RunSettings;
use crate::plugin;
use crate::record::Format;
use crate::schedule::{FieldKey, PartitionBy};

/// Where the keys of a run come from, and the plan of the process that computes them, if a plugin does.
type KeyChoice = (Option<KeySource>, Option<KeyPlan>);

/// What `--partition-by` asks for.
///
/// # Errors
/// If the word is invalid, or the plugin cannot be found.
pub(super) fn choose(settings: &RunSettings) -> anyhow::Result<KeyChoice> {
    let Some(partition_by) = settings.partition_by.as_deref() else { return Ok((None, None)) };
    let format = Format::from(settings.format);
    let here = |key_of: Box<dyn KeyOf>| (Some(KeySource::Here(key_of)), None);
    Ok(match partition_by.parse::<PartitionBy>()? {
        PartitionBy::Field(field) => here(Box::new(FieldKey::new(field, format.terminator()))),
        PartitionBy::WholeRecord => here(Box::new(WholeRecord)),
        PartitionBy::Plugin { spec, name } => {
            let (library, _) = plugin::find(&spec, &settings.task_path)?;
            let RunSettings { record_timeout: limit, retries, .. } = *settings;
            let plan = KeyPlan { library, partitioner: name, format, limit, retries };
            (Some(KeySource::WithRecords), Some(plan))
        }
    })
}

struct WholeRecord;

impl KeyOf for WholeRecord {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        key.extend_from_slice(content);
        Ok(())
    }
}

impl KeyOf for FieldKey {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        FieldKey::key_into(self, content, key).map_err(|error| error.to_string())
    }
}
