//! Keeps the service's published rate limits, for all clients of one application in this process.
//!
//! An own sliding window rather than the `governor` crate's leaky bucket: the published limits count calls within a
//! second, where a bucket of that size lets nearly twice as many through in its first one, and a bucket cannot be
//! paused for as long as a 429 asks.

use std::{
    collections::{HashMap, VecDeque},
    future::{Future, poll_fn},
    num::NonZeroU16,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard},
    task::Poll,
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::lane::{Lane, Look, Place, Wakers};
use crate::{
    model::{account::AppKey, error::Operation},
    util::lock,
};

/// The most applications remembered; the one asked for longest ago is forgotten for a new one.
const APPLICATIONS: usize = 256;
const ADDRESSES: usize = 64;
/// The longest wait for a turn, whatever [`ConfigBuilder::rest_timeout`](crate::ConfigBuilder::rest_timeout) is.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause taken from a 429; what is left of a longer one, the service will say again.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);
/// The pause after a 429 that names none: the limits count by the second.
const DEFAULT_PAUSE: Duration = Duration::from_secs(1);

/// REST calls a second that the service accepts from one application, all its programs together.
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
    /// Calls about users and their devices and passwords, all together. Default: 100.
    pub users: NonZeroU16,
    /// Tokens for passwords, Agora tokens and client credentials. Default: 300.
    pub tokens: NonZeroU16,
    /// The query of a token's end, and each of a logged-in user's own calls (files, history, presence, attributes,
    /// conversations), each by itself: the service's default limit. Default: 100.
    pub other: NonZeroU16,
}

impl Default for RateLimits {
    fn default() -> Self {
        const HUNDRED: NonZeroU16 = NonZeroU16::MIN.saturating_add(99);
        const THREE_HUNDRED: NonZeroU16 = NonZeroU16::MIN.saturating_add(299);
        RateLimits { users: HUNDRED, tokens: THREE_HUNDRED, other: HUNDRED }
    }
}

/// Calls counted, and held back by a 429, together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Budget {
    Users,
    Tokens,
    Each(Operation),
}

#[derive(Debug)]
pub(super) struct RateLimiter {
    lanes: Mutex<Lanes>,
}

#[derive(Debug)]
struct Lanes {
    limits: RateLimits,
    lanes: HashMap<Budget, Lane>,
}

impl RateLimits {
    fn of(&self, budget: Budget) -> NonZeroU16 {
        match budget {
            Budget::Users => self.users,
            Budget::Tokens => self.tokens,
            Budget::Each(_) => self.other,
        }
    }
}

impl Lanes {
    fn of(&mut self, budget: Budget) -> &mut Lane {
        self.lanes.entry(budget).or_insert_with(|| Lane::new(self.limits.of(budget)))
    }
}

impl RateLimiter {
    fn new(limits: RateLimits) -> Self {
        RateLimiter { lanes: Mutex::new(Lanes { limits, lanes: HashMap::new() }) }
    }

    pub(super) fn set(&self, limits: RateLimits) {
        self.wakes(|lanes, woken| {
            lanes.limits = limits;
            for (budget, lane) in &mut lanes.lanes {
                lane.set_most(limits.of(*budget), Instant::now(), woken);
            }
        });
    }

    /// Waits for the next turn, at most `patience`; otherwise says how long it would have taken, at once where that is
    /// known. Turns are taken in the order of coming, when the call goes. A caller that stops waiting gives its place
    /// back, and one that does not go when it is first is let past.
    pub(super) async fn acquire(&self, budget: Budget, patience: Duration) -> Result<(), Duration> {
        // Timers panic without a runtime under them; the call itself says that there is none.
        if tokio::runtime::Handle::try_current().is_err() {
            return Ok(());
        }
        let deadline = Instant::now() + patience;
        let mut caller = Waiter { limiter: self, budget, place: Place::new(deadline) };
        let mut timer = pin!(sleep_until(deadline));
        poll_fn(|task| {
            loop {
                let now = Instant::now();
                let look =
                    self.wakes(|lanes, woken| lanes.of(budget).look(&mut caller.place, now, task.waker(), woken));
                match look {
                    Look::Go => return Poll::Ready(Ok(())),
                    Look::Never(at) => return Poll::Ready(Err(at.saturating_duration_since(now))),
                    Look::Wait(until) => timer.as_mut().reset(until),
                }
                if timer.as_mut().poll(task).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// Holds all calls of this budget back for as long as a 429 asked.
    pub(super) fn pause(&self, budget: Budget, asked: Option<Duration>) {
        let now = Instant::now();
        let until = now + asked.unwrap_or(DEFAULT_PAUSE).min(MAX_PAUSE);
        self.wakes(|lanes, woken| lanes.of(budget).pause(now, until, woken));
    }

    /// Does something to the lanes, and wakes afterwards whoever has to know.
    fn wakes<T>(&self, change: impl FnOnce(&mut Lanes, &mut Wakers) -> T) -> T {
        let mut woken = Wakers::default();
        let done = change(&mut self.lock(), &mut woken);
        woken.wake();
        done
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // No step leaves a lane half changed.
        lock(&self.lanes)
    }
}

struct Waiter<'a> {
    limiter: &'a RateLimiter,
    budget: Budget,
    place: Place,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let Waiter { limiter, budget, place } = self;
        if place.waits() {
            limiter.wakes(|lanes, woken| lanes.of(*budget).leave(place, Instant::now(), woken));
        }
    }
}

struct Application {
    app_key: AppKey,
    addresses: Vec<String>,
    limiter: Arc<RateLimiter>,
}

static APPLICATIONS_KNOWN: Mutex<VecDeque<Application>> = Mutex::new(VecDeque::new());

/// Returns the rate limiter shared by all clients of an app key with a REST address in common.
pub(super) fn shared(app_key: &AppKey, bases: &[String]) -> Arc<RateLimiter> {
    let mut addresses: Vec<_> = bases.iter().map(|base| base.trim_end_matches('/').to_lowercase()).collect();
    let mut known = lock(&APPLICATIONS_KNOWN);
    let same = |application: &Application| {
        application.app_key == *app_key && application.addresses.iter().any(|address| addresses.contains(address))
    };
    let mut application = match known.iter().position(same).and_then(|at| known.remove(at)) {
        Some(application) => application,
        None => Application {
            app_key: app_key.clone(),
            addresses: Vec::new(),
            limiter: Arc::new(RateLimiter::new(RateLimits::default())),
        },
    };
    addresses.retain(|address| !application.addresses.contains(address));
    application.addresses.append(&mut addresses);
    application.addresses.truncate(ADDRESSES);
    let limiter = Arc::clone(&application.limiter);
    if known.len() >= APPLICATIONS {
        known.pop_front();
    }
    known.push_back(application);
    limiter
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU16, pin::pin, sync::Arc, time::Duration};

    use tokio::time::{Instant, sleep_until, timeout};

    use super::{APPLICATIONS_KNOWN, Budget, MAX_PAUSE, Operation, PATIENCE, RateLimiter, RateLimits, shared};

    fn limiter(users: u16) -> Arc<RateLimiter> {
        let users = NonZeroU16::new(users).unwrap();
        Arc::new(RateLimiter::new(RateLimits { users, ..RateLimits::default() }))
    }

    async fn turn(limiter: &RateLimiter, patience: u64) -> Result<(), Duration> {
        limiter.acquire(Budget::Users, Duration::from_secs(patience)).await
    }

    #[tokio::test(start_paused = true)]
    async fn calls_wait_for_their_turn_and_other_budgets_do_not_wait_with_them() {
        let (limiter, start) = (limiter(100), Instant::now());
        for _ in 0..250 {
            turn(&limiter, 15).await.unwrap();
        }
        assert_eq!(start.elapsed(), Duration::from_secs(2));
        limiter.acquire(Budget::Tokens, Duration::ZERO).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    /// Keeps asking, each time for so long at most, until it has its turn.
    async fn impatient(limiter: Arc<RateLimiter>, patience: Duration) -> Instant {
        loop {
            let begun = Instant::now();
            if let Ok(Ok(())) = timeout(patience, limiter.acquire(Budget::Tokens, PATIENCE)).await {
                return Instant::now();
            }
            sleep_until(begun + patience).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn twenty_thousand_impatient_logins_all_get_in_as_fast_as_the_limit_lets_them() {
        let (limiter, start) = (limiter(1), Instant::now());
        let logins: Vec<_> =
            (0..20_000).map(|_| tokio::spawn(impatient(Arc::clone(&limiter), Duration::from_secs(1)))).collect();
        let mut last = start;
        for login in logins {
            last = last.max(login.await.unwrap());
        }
        let took = (last - start).as_secs_f64();
        assert!((66.0..69.0).contains(&took), "{took} s");
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenth_too_many_with_little_patience_leaves_the_limit_fully_used() {
        const SECONDS: usize = 60;
        for drops in [true, false] {
            let (limiter, start) = (limiter(100), Instant::now());
            let calls: Vec<_> = (0..110 * SECONDS)
                .map(|n| {
                    let limiter = Arc::clone(&limiter);
                    let at = start + Duration::from_secs(1) * u32::try_from(n).unwrap() / 110;
                    tokio::spawn(async move {
                        sleep_until(at).await;
                        let patience = Duration::from_secs(2);
                        if drops {
                            let turn = timeout(patience, limiter.acquire(Budget::Users, Duration::from_secs(60))).await;
                            turn.is_ok_and(|turn| turn.is_ok()).then(Instant::now)
                        } else {
                            limiter.acquire(Budget::Users, patience).await.ok().map(|()| Instant::now())
                        }
                    })
                })
                .collect();
            let mut turns = vec![0; SECONDS + 3];
            for call in calls {
                if let Some(at) = call.await.unwrap() {
                    turns[usize::try_from((at - start).as_secs()).unwrap()] += 1;
                }
            }
            // Timers tick by the millisecond, so that a turn may move from one second to the next.
            for (second, turns) in turns[..SECONDS].iter().enumerate() {
                assert!((95..=105).contains(turns), "{turns} in second {second}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_polls_holds_no_other_up() {
        let (limiter, start) = (limiter(1), Instant::now());
        turn(&limiter, 0).await.unwrap();
        let mut forgotten = pin!(turn(&limiter, 60));
        assert!(timeout(Duration::ZERO, forgotten.as_mut()).await.is_err());
        turn(&limiter, 60).await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(1100), "{:?}", start.elapsed());
        forgotten.await.unwrap();
        assert!(start.elapsed() < Duration::from_millis(2100), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn what_one_call_is_refused_for_holds_back_no_call_that_is_counted_by_itself() {
        let limiter = limiter(100);
        limiter.pause(Operation::History.spec().budget, Some(Duration::from_secs(600)));
        limiter.pause(Operation::Download.spec().budget, Some(Duration::from_secs(600)));
        for free in [Operation::TokenExpiry, Operation::PasswordToken, Operation::Upload, Operation::Devices] {
            limiter.acquire(free.spec().budget, Duration::ZERO).await.unwrap();
        }
        let held = limiter.acquire(Operation::History.spec().budget, Duration::from_secs(60)).await;
        assert_eq!(held, Err(Duration::from_secs(600)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_would_wait_too_long_is_told_at_once_how_long() {
        let (limiter, start) = (limiter(1), Instant::now());
        turn(&limiter, 0).await.unwrap();
        limiter.pause(Budget::Users, Some(Duration::from_secs(20)));
        assert_eq!(turn(&limiter, 15).await, Err(Duration::from_secs(20)));
        assert_eq!(start.elapsed(), Duration::ZERO);
        turn(&limiter, 20).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(20));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_back_those_who_wait_already() {
        let (limiter, start) = (limiter(1), Instant::now());
        turn(&limiter, 0).await.unwrap();
        let waiting = Arc::clone(&limiter);
        let waits = tokio::spawn(async move { turn(&waiting, 60).await.map(|()| Instant::now()) });
        tokio::task::yield_now().await;
        limiter.pause(Budget::Users, Some(Duration::from_secs(7)));
        assert_eq!(waits.await.unwrap().unwrap() - start, Duration::from_secs(7));
    }

    #[tokio::test(start_paused = true)]
    async fn other_limits_count_at_once_and_who_gives_up_holds_no_place() {
        let limiter = limiter(1);
        turn(&limiter, 0).await.unwrap();
        assert!(timeout(Duration::ZERO, turn(&limiter, 60)).await.is_err());
        turn(&limiter, 1).await.expect("the turn of one that gave up");
        assert!(turn(&limiter, 0).await.is_err());
        limiter.set(RateLimits { users: NonZeroU16::new(2).unwrap(), ..RateLimits::default() });
        turn(&limiter, 0).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_a_second_if_none_is_named_and_bounded_if_it_is_long() {
        let limiter = limiter(5);
        limiter.pause(Budget::Users, None);
        assert_eq!(turn(&limiter, 0).await, Err(Duration::from_secs(1)));
        limiter.pause(Budget::Users, Some(Duration::from_secs(86_400)));
        assert_eq!(turn(&limiter, 0).await, Err(MAX_PAUSE));
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
        assert_eq!(known.len(), super::APPLICATIONS);
        assert!(known.iter().all(|application| application.addresses.len() <= super::ADDRESSES));
    }
}
