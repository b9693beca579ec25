//! Keeps the service's published rate limits, for all clients of one application in this process.
//!
//! An own sliding window rather than the `governor` crate's leaky bucket: the published limits count calls within a
//! second, where a bucket of that size lets nearly twice as many through in its first one, and a bucket cannot be
//! paused for as long as a 429 asks.

use std::{
    collections::VecDeque,
    num::NonZeroU16,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::window::Window;
use crate::AppKey;

/// How many applications are remembered; the one asked for longest ago is forgotten for a new one.
const APPLICATIONS: usize = 256;
/// How many addresses of one application are remembered.
const ADDRESSES: usize = 64;
/// The longest a call waits for its turn, however long [`Config::rest_timeout`](crate::Config::rest_timeout) is.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause taken from a 429; what is left of a longer one, the service will say again.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);
/// The pause after a 429 that names none: the limits count by the second.
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// How many REST calls a second the service takes from one application, all its programs together.
///
/// The defaults are what the vendor publishes (`doc.easemob.com`, REST rate limits; `docs.agora.io`, Chat RESTful API
/// overview; not verified against the service). A plan may have others: older tables give 10 a second to free plans.
///
/// ```
/// use std::num::NonZeroU16;
/// use agora_chat::rest::RateLimits;
/// let limits = RateLimits { users: NonZeroU16::new(30).unwrap(), ..RateLimits::default() };
/// assert_eq!(limits.tokens.get(), 300);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Registering, deleting, (de)activating users, changing passwords, listing and kicking devices: all together.
    /// Default: 100.
    pub users: NonZeroU16,
    /// Tokens for passwords, Agora tokens and client credentials. Default: 300.
    pub tokens: NonZeroU16,
    /// The query of a token's end, and a logged-in user's own calls: files, history, presence, attributes, conversations;
    /// the service's default for calls without a limit of their own. Default: 100.
    pub other: NonZeroU16,
}

impl Default for RateLimits {
    fn default() -> Self {
        const HUNDRED: NonZeroU16 = NonZeroU16::MIN.saturating_add(99);
        const THREE_HUNDRED: NonZeroU16 = NonZeroU16::MIN.saturating_add(299);
        RateLimits { users: HUNDRED, tokens: THREE_HUNDRED, other: HUNDRED }
    }
}

/// Which of the [`RateLimits`] a call counts against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    Users,
    Tokens,
    Other,
}

/// The limits of one application.
#[derive(Debug)]
pub(super) struct Governor {
    windows: Mutex<Windows>,
}

#[derive(Debug)]
struct Windows {
    users: Window,
    tokens: Window,
    other: Window,
}

impl Windows {
    fn of(&mut self, budget: Budget) -> &mut Window {
        match budget {
            Budget::Users => &mut self.users,
            Budget::Tokens => &mut self.tokens,
            Budget::Other => &mut self.other,
        }
    }
}

impl Governor {
    fn new(limits: RateLimits) -> Self {
        Governor {
            windows: Mutex::new(Windows {
                users: Window::new(limits.users),
                tokens: Window::new(limits.tokens),
                other: Window::new(limits.other),
            }),
        }
    }

    pub(super) fn set(&self, limits: RateLimits) {
        let mut windows = self.lock();
        windows.users.set_most(limits.users);
        windows.tokens.set_most(limits.tokens);
        windows.other.set_most(limits.other);
    }

    /// Waits for the next turn, at most `patience`; otherwise says at once how long it would have taken.
    ///
    /// A caller that stops waiting leaves its turn unused.
    pub(super) async fn turn(&self, budget: Budget, patience: Duration) -> Result<(), Duration> {
        // Timers panic without a runtime under them; the call itself says that there is none.
        if tokio::runtime::Handle::try_current().is_err() {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        loop {
            let now = Instant::now();
            let turn = self.lock().of(budget).give(now, deadline).map_err(|at| at.duration_since(now))?;
            if turn.at > now {
                sleep_until(turn.at).await;
            }
            if self.lock().of(budget).stands(turn) {
                return Ok(());
            }
        }
    }

    /// Holds all calls of this budget back for as long as a 429 asked.
    pub(super) fn pause(&self, budget: Budget, asked: Option<Duration>) {
        let now = Instant::now();
        self.lock().of(budget).pause(now, now + asked.unwrap_or(DEFAULT_PAUSE).min(MAX_PAUSE));
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        // No step leaves a window half changed.
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Application {
    app_key: AppKey,
    addresses: Vec<String>,
    governor: Arc<Governor>,
}

static APPLICATIONS_KNOWN: Mutex<VecDeque<Application>> = Mutex::new(VecDeque::new());

/// The governor of an application: one for all clients with its app key and at least one REST address in common.
///
/// The same app key at other addresses is an application of another installation of the service.
pub(super) fn shared(app_key: &AppKey, bases: &[String]) -> Arc<Governor> {
    let mut addresses: Vec<_> = bases.iter().map(|base| base.trim_end_matches('/').to_lowercase()).collect();
    let mut known = APPLICATIONS_KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |application: &Application| {
        application.app_key == *app_key && application.addresses.iter().any(|address| addresses.contains(address))
    };
    let mut application = match known.iter().position(same).and_then(|at| known.remove(at)) {
        Some(application) => application,
        None => Application {
            app_key: app_key.clone(),
            addresses: Vec::new(),
            governor: Arc::new(Governor::new(RateLimits::default())),
        },
    };
    addresses.retain(|address| !application.addresses.contains(address));
    application.addresses.append(&mut addresses);
    application.addresses.truncate(ADDRESSES);
    let governor = Arc::clone(&application.governor);
    if known.len() >= APPLICATIONS {
        known.pop_front();
    }
    known.push_back(application);
    governor
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU16, sync::Arc, time::Duration};

    use tokio::time::Instant;

    use super::{APPLICATIONS_KNOWN, Budget, Governor, MAX_PAUSE, RateLimits, shared};

    fn governor(users: u16) -> Arc<Governor> {
        let users = NonZeroU16::new(users).unwrap();
        Arc::new(Governor::new(RateLimits { users, ..RateLimits::default() }))
    }

    async fn turn(governor: &Governor, patience: u64) -> Result<(), Duration> {
        governor.turn(Budget::Users, Duration::from_secs(patience)).await
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_their_turn_and_other_budgets_do_not_wait_with_them() {
        let (governor, start) = (governor(100), Instant::now());
        for _ in 0..250 {
            turn(&governor, 15).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        governor.turn(Budget::Tokens, Duration::ZERO).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_would_wait_too_long_is_told_at_once_how_long() {
        let (governor, start) = (governor(1), Instant::now());
        turn(&governor, 0).await.unwrap();
        governor.pause(Budget::Users, Some(Duration::from_secs(20)));
        assert_eq!(turn(&governor, 15).await, Err(Duration::from_secs(20)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        turn(&governor, 20).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_back_those_who_wait_already() {
        let (governor, start) = (governor(1), Instant::now());
        turn(&governor, 0).await.unwrap();
        let waiting = Arc::clone(&governor);
        let waits = tokio::spawn(async move { turn(&waiting, 60).await.map(|()| Instant::now()) });
        tokio::task::yield_now().await;
        governor.pause(Budget::Users, Some(Duration::from_secs(7)));
        assert_eq!(waits.await.unwrap().unwrap() - start, Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_a_second_if_none_is_named_and_bounded_if_it_is_long() {
        let governor = governor(5);
        governor.pause(Budget::Users, None);
        assert_eq!(turn(&governor, 0).await, Err(Duration::from_secs(1)));
        governor.pause(Budget::Users, Some(Duration::from_secs(86_400)));
        assert_eq!(turn(&governor, 0).await, Err(MAX_PAUSE));
    }

    #[test]
    fn clients_of_one_app_key_and_service_share_and_others_do_not() {
        let key = "governor#shared".parse().unwrap();
        let bases = |names: &[&str]| names.iter().map(|name| format!("http://{name}")).collect::<Vec<_>>();
        let first = shared(&key, &bases(&["a", "b"]));
        assert!(Arc::ptr_eq(&first, &shared(&key, &bases(&["c", "B/"]))));
        assert!(Arc::ptr_eq(&first, &shared(&key, &bases(&["c"]))), "c is known for its now");
        assert!(!Arc::ptr_eq(&first, &shared(&key, &bases(&["d"]))));
        assert!(!Arc::ptr_eq(&first, &shared(&"governor#other".parse().unwrap(), &bases(&["a"]))));
    }

    #[test]
    fn applications_are_remembered_within_bounds() {
        for n in 0..2 * super::APPLICATIONS {
            shared(&format!("governor#n{n}").parse().unwrap(), &[format!("http://n{n}")]);
        }
        let many: Vec<_> = (0..1000).map(|n| format!("http://{n}")).collect();
        shared(&"governor#many".parse().unwrap(), &many);
        let known = APPLICATIONS_KNOWN.lock().unwrap();
        assert!(known.len() <= super::APPLICATIONS);
        assert!(known.iter().all(|application| application.addresses.len() <= super::ADDRESSES));
    }
}
