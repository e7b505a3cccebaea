//! The only place that starts a task, so that a drain knows every one.

use std::future::Future;

use tokio_util::task::TaskTracker;

/// All tasks of one gateway. A panic in one ends that one: its sockets close, its place among the
/// connections is given back, and the others never notice.
#[derive(Debug, Clone, Default)]
pub struct Tasks(TaskTracker);

impl Tasks {
    /// Starts `task` on the thread's runtime.
    #[allow(clippy::disallowed_methods, reason = "this is the one door")]
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The handle is not kept: a task says what it has to say in the log.
        drop(tokio::spawn(self.0.track_future(task)));
    }

    /// How many are running.
    pub fn running(&self) -> usize {
        self.0.len()
    }

    /// Waits until none is running.
    pub async fn ended(&self) {
        self.0.close();
        self.0.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn k2_a_panic_ends_one_task_and_no_other() {
        let tasks = Tasks::default();
        let (go, gone) = oneshot::channel::<()>();
        let (said, heard) = oneshot::channel();
        let place = crate::listen::Admission::new(1, 1);
        let seat = place.place(0);
        tasks.spawn(async move {
            let _seat = seat;
            panic!("a bug in one session");
        });
        tasks.spawn(async move {
            gone.await.unwrap();
            said.send("still here").unwrap();
        });
        while tasks.running() > 1 {
            tokio::task::yield_now().await;
        }
        // The panicking task gave its place back as it unwound.
        let next = place.place(0).map(|place| place.kind());
        assert_eq!(next, Some(crate::listen::Kind::Seat));
        go.send(()).unwrap();
        assert_eq!(heard.await.unwrap(), "still here");
        tasks.ended().await;
    }
}
