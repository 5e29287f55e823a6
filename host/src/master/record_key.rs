//! Where partition keys come from: a field, the record itself, or a plugin's partitioner.

use super::decisions::KeyOf;
use crate::plugin::{self, LoadedPartitioner, LoadedPlugin};
use crate::record::Format;
use crate::schedule::{FieldKey, PartitionBy};

/// Makes the key finder that `--partition-by` names.
///
/// # Errors
/// If the word is invalid, or the plugin cannot be used.
pub(super) fn key_of(
    partition_by: &str,
    format: Format,
    task_path: &[std::path::PathBuf],
) -> anyhow::Result<Box<dyn KeyOf>> {
    Ok(match partition_by.parse::<PartitionBy>()? {
        PartitionBy::Field(field) => Box::new(FieldKey::new(field, format.terminator())),
        PartitionBy::WholeRecord => Box::new(WholeRecord),
        PartitionBy::Plugin { spec, name } => {
            let (path, _) = plugin::find(&spec, task_path)?;
            Box::new(LoadedPlugin::open(&path)?.partitioner(name.as_deref())?)
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

impl KeyOf for LoadedPartitioner {
    fn key_into(&mut self, content: &[u8], key: &mut Vec<u8>) -> Result<(), String> {
        self.key(content, key).map_err(|error| error.to_string())
    }
}
