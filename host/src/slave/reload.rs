//! Reloads of a slave's library, one after the other: the file is opened anew and tried out, and only if it
//! works do the workers change over to it. Until then, nothing has changed.

use tokio::sync::{mpsc, watch};

use super::door::{ReloadOrder, Reloaded};
use super::pool::PoolHandle;
use super::prepare::{PrepareError, prepare_task, try_out};
use super::registration::RowEvent;
use crate::config::SlaveConfig;
use crate::wire::Welcome;

/// What is said to those who ask for a reload of a slave that is about to end.
const ENDING: &str = "it is shutting down";

/// What a reload needs.
pub(super) struct Reloading {
    /// Names the library, and what its task is given.
    pub config: SlaveConfig,
    /// Whose workers change over.
    pub pool: PoolHandle,
    /// Shows the build.
    pub row: mpsc::Sender<RowEvent>,
    /// What masters are told.
    pub welcome: watch::Sender<Welcome>,
    /// Whether the slave is about to end.
    pub draining: watch::Receiver<bool>,
}

/// Why nothing has changed.
#[derive(Debug, thiserror::Error)]
enum NotReloaded {
    #[error(transparent)]
    Unusable(#[from] PrepareError),
    #[error("the columns of the task differ: {0}; start the slave anew instead")]
    OtherColumns(String),
    #[error(
        "the library contains something else than before (manifest {now}, before {before}): its tasks, their \
         arguments or its partitioners differ; start the slave anew instead"
    )]
    OtherManifest { now: String, before: String },
    #[error("{0}")]
    Refused(String),
    #[error("{ENDING}")]
    Ending,
}

/// Carries out reloads until the slave drains.
pub(super) async fn serve(mut reloading: Reloading, mut orders: mpsc::Receiver<ReloadOrder>) {
    let mut draining = reloading.draining.clone();
    loop {
        let order = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => return,
            order = orders.recv() => order,
        };
        let Some(order) = order else { return };
        let result = tokio::select! {
            biased;
            _ = draining.wait_for(|draining| *draining) => Err(NotReloaded::Ending),
            result = reloading.reload() => result,
        };
        match &result {
            Ok(_) => tracing::info!("the library was reloaded; all workers have loaded it"),
            Err(error) => tracing::warn!("the library was not reloaded: {error}"),
        }
        // Who asked may have gone; the log says what came of it.
        let _ = order.send(result.map_err(|error| error.to_string()));
    }
}

impl Reloading {
    async fn reload(&mut self) -> Result<Reloaded, NotReloaded> {
        let prepared = prepare_task(&self.config).await?;
        let before = self.welcome.borrow().clone();
        let now = &prepared.welcome;
        if let Some(difference) = before.output.difference(&now.output, ("before", "in the file")) {
            return Err(NotReloaded::OtherColumns(difference));
        }
        if now.build.manifest != before.build.manifest {
            let [now, before] = [now, &before].map(|welcome| welcome.build.manifest.short());
            return Err(NotReloaded::OtherManifest { now, before });
        }
        try_out(&prepared.launch, self.config.start_timeout).await.map_err(PrepareError::from)?;
        let (build, task_version) = (now.build, now.task_version.clone());
        let done = self.pool.reload(prepared.launch).await.map_err(NotReloaded::Refused)?;
        tracing::info!(
            version = task_version,
            file = build.file.short(),
            "the library is reloaded: workers change over as they finish what they have"
        );
        self.welcome.send_modify(|welcome| {
            welcome.build = build;
            welcome.task_version.clone_from(&task_version);
        });
        // If the row's task is gone, the slave is ending.
        let _ = self.row.send(RowEvent::Build { build, task_version: task_version.clone() }).await;
        done.await.map_err(|_| NotReloaded::Ending)?;
        Ok(Reloaded { build, task_version })
    }
}
