//! The requests that wait for the database. One task owns it and carries them out one after the other, in the
//! order in which they were asked.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::backend::Backend;
use super::clock::Clock;
use super::error::RegistryError;
use super::request::{Answer, Request};
use crate::owned_task::OwnedTask;

/// How many requests can wait. A master or slave asks for one or two things at a time, so this is more than
/// enough; a caller that finds the queue full waits.
const WAITING_MAX: usize = 64;

/// The way to the database. Requests are served as long as a clone of this is left.
#[derive(Debug, Clone)]
pub(super) struct RequestQueue {
    asked: mpsc::Sender<QueuedRequest>,
    serving: Arc<Mutex<OwnedTask<()>>>,
}

/// A request on its way.
#[derive(Debug)]
struct QueuedRequest {
    request: Request,
    answer: oneshot::Sender<Result<Answer, RegistryError>>,
}

impl RequestQueue {
    /// Starts to serve requests with this database, by this clock.
    pub(super) fn start(backend: Backend, clock: Clock) -> Self {
        let (asked, waiting) = mpsc::channel(WAITING_MAX);
        Self { asked, serving: Arc::new(Mutex::new(OwnedTask::spawn(serve(backend, clock, waiting)))) }
    }

    /// Makes a request, and waits for the answer. If this future is dropped while it waits, the request is
    /// carried out all the same.
    ///
    /// # Panics
    /// If the task that serves the requests did.
    pub(super) async fn ask(&self, request: Request) -> Result<Answer, RegistryError> {
        let (answer, answered) = oneshot::channel();
        if self.asked.send(QueuedRequest { request, answer }).await.is_ok()
            && let Ok(result) = answered.await
        {
            return result;
        }
        self.serving.lock().await.join().await;
        unreachable!("requests are served as long as someone can ask")
    }
}

async fn serve(mut backend: Backend, clock: Clock, mut waiting: mpsc::Receiver<QueuedRequest>) {
    while let Some(QueuedRequest { request, answer }) = waiting.recv().await {
        let result = backend.perform(request, &clock).await;
        // The caller may have stopped waiting.
        let _ = answer.send(result);
    }
}
