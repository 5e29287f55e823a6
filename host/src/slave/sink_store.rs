//! A slave's sink, from its address to what masters are told about it.

use super::prepare::Prepared;
use crate::exit_code::UsageError;
use crate::sink::{self, OpenError, SinkUrl, Store};

/// Opens the sink, if there is one, for the rows of the task. Its files are named after `label`.
///
/// # Errors
/// If it cannot be used.
pub(crate) async fn open_sink(
    url: Option<&SinkUrl>,
    label: &str,
    prepared: &mut Prepared,
) -> anyhow::Result<Option<Store>> {
    let Some(url) = url else { return Ok(None) };
    let store = match sink::open(url, &prepared.shape, label).await {
        Ok(store) => store,
        Err(error @ OpenError::Unfit(_)) => {
            return Err(UsageError::mark(anyhow::anyhow!("the sink cannot be used: {error}")));
        }
        Err(error) => anyhow::bail!("the sink cannot be used: {error}"),
    };
    let place = store.place();
    prepared.welcome.sink = Some(place);
    Ok(Some(store))
}
