//! Waits for writes to an account's files when its session ends.

use std::{future::Future, path::Path, sync::Arc, time::Duration};

use slog::{Logger, warn};

use crate::{
    config::Config,
    delivery::Slot,
    model::account::UserId,
    store::{Cursors, FolderPath},
    util::{
        lent::caught,
        threads::{Serial, Unfinished},
    },
};

/// The longest that the end of a session waits for writes.
const PATIENCE: Duration = Duration::from_secs(5);

/// Resolves once all writes of the account's files, its cursors and dead letters are done or too slow; `None` for none.
pub(super) fn unwritten(
    config: &Config,
    cursors: Option<&Cursors>,
    slot: &Slot,
    user: &UserId,
    log: &Logger,
) -> Option<impl Future<Output = ()> + use<>> {
    let state = config.state_dir.as_ref().map(|state| Arc::from(state.path()));
    let cursors = cursors.and_then(|store| caught(|| store.0.folder().map(Arc::from)).flatten());
    let letters = slot.get().and_then(|handler| handler.letters_folder().map(Arc::from));
    let roots: Vec<Arc<Path>> = [state, cursors, letters].into_iter().flatten().collect();
    let lines: Vec<_> = roots.iter().map(|root| FolderPath::of(root, &config.app_key, user).line()).collect();
    let busy: Vec<_> = lines.into_iter().filter(Serial::is_busy).collect();
    let log = log.clone();
    (!busy.is_empty()).then_some(async move {
        let all = async {
            for line in busy {
                // It has its turn after all that came before it.
                line.run(PATIENCE, || ()).await?;
            }
            Ok(())
        };
        let done = tokio::time::timeout(PATIENCE, all).await;
        if let Err(error) = done.unwrap_or(Err(Unfinished::Stuck(PATIENCE))) {
            warn!(log, "the session ends before its state is written"; "error" => %error);
        }
    })
}
