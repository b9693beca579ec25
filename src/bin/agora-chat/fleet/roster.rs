//! Keeps the fleet's accounts those of the file.

use std::{collections::BTreeMap, fmt, sync::Arc};

use agora_chat::{
    Account, Credentials, UserId,
    fleet::{AccountSpec, Added, Fleet, FleetError},
    store::FileCursors,
};
use slog::{Logger, warn};

use super::{accounts::Row, tokens::Source};

/// The accounts as the file had them last.
pub(crate) struct Roster {
    known: BTreeMap<UserId, (Row, Credentials)>,
    source: Option<Source>,
    cursors: Arc<FileCursors>,
    log: Logger,
}

/// What a reading of the file changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) added: usize,
    pub(crate) updated: usize,
    pub(crate) removed: usize,
    pub(crate) refused: usize,
}

impl fmt::Display for Changed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} added, {} changed, {} removed", self.added, self.updated, self.removed)?;
        if self.refused > 0 { write!(f, ", {} refused", self.refused) } else { Ok(()) }
    }
}

impl Roster {
    pub(crate) fn new(source: Option<Source>, cursors: FileCursors, log: Logger) -> Self {
        Roster { known: BTreeMap::new(), source, cursors: Arc::new(cursors), log }
    }

    /// Makes the fleet's accounts those of the rows.
    ///
    /// One whose secret has not changed keeps its session. A token that has is given to the session as it is.
    ///
    /// # Errors
    /// [`FleetError::Stopped`].
    pub(crate) async fn apply(&mut self, fleet: &Fleet, rows: Vec<Row>) -> Result<Changed, FleetError> {
        let (mut changed, mut known, mut specs) = (Changed::default(), BTreeMap::new(), Vec::with_capacity(rows.len()));
        for row in rows {
            let before = self.known.remove(&row.user);
            let is_new = before.is_none();
            let credentials = match before {
                Some((before, credentials)) if before.secret.is(&row.secret) => credentials,
                _ => {
                    let credentials = row.credentials(self.source.as_ref())?;
                    if !is_new {
                        match fleet.update(row.user.as_str(), credentials.clone()).await {
                            Ok(()) => changed.updated += 1,
                            // Somebody has removed it meanwhile; it is added below.
                            Err(FleetError::Unknown { .. }) => {}
                            Err(error) => return Err(error),
                        }
                    }
                    credentials
                }
            };
            let account = Account::new(credentials.clone()).cursor_store(Arc::clone(&self.cursors) as _);
            let spec = AccountSpec::new(account).weight(row.weight);
            specs.push(match &row.tag {
                Some(tag) => spec.tag(Arc::clone(tag)),
                None => spec,
            });
            known.insert(row.user.clone(), (row, credentials));
        }
        for user in std::mem::replace(&mut self.known, known).into_keys() {
            match fleet.remove(user.as_str()).await {
                Ok(()) => changed.removed += 1,
                Err(FleetError::Unknown { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        for added in fleet.add_all(specs).await? {
            match added {
                Ok(Added::New) => changed.added += 1,
                Ok(Added::Changed) => changed.updated += 1,
                Ok(_) => {}
                Err(error @ (FleetError::Draining | FleetError::Stopped)) => return Err(error),
                Err(error) => {
                    changed.refused += 1;
                    warn!(self.log, "an account is not added"; "error" => %error);
                }
            }
        }
        Ok(changed)
    }
}
