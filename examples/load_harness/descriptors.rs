//! The limit of open descriptors: each session has a socket.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What the runtime, the standard streams and a few files take.
const OTHERS: u64 = 64;

/// Raises the limit as far as this process may.
///
/// # Errors
/// In words, where that is not enough for so many sessions, and logins under way.
pub(crate) fn raise(sessions: usize, logins: usize) -> Result<(), String> {
    let needed = u64::try_from(sessions + logins).unwrap_or(u64::MAX).saturating_add(OTHERS);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|error| format!("the descriptor limit: {error}"))?;
    if needed > hard {
        return Err(format!(
            "{sessions} accounts need {needed} descriptors, and this process may open {hard}; raise the hard limit \
             (`ulimit -Hn {needed}` as root, or LimitNOFILE=) or take fewer accounts"
        ));
    }
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|error| format!("the descriptor limit: {error}"))?;
    }
    Ok(())
}
