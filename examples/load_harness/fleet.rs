//! The accounts, kept by a fleet of the library.

use std::{collections::HashMap, error::Error, num::NonZeroU16};

use actix::Recipient;
use agora_chat::{
    Credentials, Event, Subscription,
    fleet::{AccountChange, Filter, Fleet, FleetChange, FleetConfig, LoginPace, Page, StateKind},
};
use hdrhistogram::Histogram;
use secrecy::ExposeSecret as _;
use tokio::sync::watch;

use crate::{listener::Listener, options::Plan, reasons::Reasons, sessions::Stop, tally::Tally};

/// Starts the fleet; nobody is connected yet.
pub(crate) fn start(plan: &Plan, listener: Recipient<Event>) -> Result<Fleet, Box<dyn Error>> {
    let config = plan.configs.first().ok_or("no configuration")?.clone();
    let concurrent = u32::try_from(plan.concurrency)?;
    // As fast as it goes, where nothing is said.
    let rate = plan.max_rate.map_or(10_000, NonZeroU16::get);
    let pace = LoginPace::per_second(rate).burst(concurrent.min(u32::from(rate))).concurrent(concurrent);
    let fleet = Fleet::start(FleetConfig::new(config).arbiters(plan.arbiters).max_accounts(plan.accounts).pace(pace))?;
    fleet.subscribe(Subscription::new("load", listener).events(Listener::WANTS))?;
    Ok(fleet)
}

/// Adds everybody; ends when all are online or refused for good, or `stop` says so.
pub(crate) async fn log_in(
    fleet: &Fleet,
    plan: &Plan,
    tally: &Tally,
    logins: &mut Histogram<u32>,
    failures: &mut Reasons,
    mut stop: watch::Receiver<Stop>,
) {
    let mut changes = fleet.watch();
    let accounts = (0..plan.accounts).filter_map(|number| {
        // The service would refuse no user or password of this form.
        Credentials::password(&plan.user(number), plan.password.expose_secret()).ok()
    });
    let mut began = HashMap::new();
    let mut heard = |change: &FleetChange| {
        if let FleetChange::Account(change) = change {
            took(change, &mut began, logins);
        }
        let summary = fleet.summary();
        let refused = summary.of(StateKind::Failed) + summary.of(StateKind::Parked);
        tally.logged_in.set(count(summary.of(StateKind::Online)));
        tally.failed.set(count(refused));
        summary.of(StateKind::Online) + refused >= plan.accounts
    };
    let added = fleet.add_all(accounts);
    tokio::pin!(added);
    let mut adding = true;
    loop {
        tokio::select! {
            _ = &mut added, if adding => adding = false,
            change = changes.next() => match change {
                Some(change) if !heard(&change) => {}
                _ => break,
            },
            stopped = stop.wait_for(|stop| *stop != Stop::Not) => {
                drop(stopped);
                break;
            }
        }
    }
    let mut page = Page::first(1000);
    loop {
        let list = fleet.accounts(&Filter::all(), &page);
        for account in list.accounts.iter().filter(|account| account.state.kind() != StateKind::Online) {
            let why = account.cause.as_ref().map_or_else(|| "it was not its turn yet".to_owned(), ToString::to_string);
            failures.add(account.user.to_string(), &std::io::Error::other(why));
        }
        match list.next {
            Some(user) => page = Page::after(user, 1000),
            None => break,
        }
    }
    tally.failed.set(count(plan.accounts).saturating_sub(tally.logged_in.get()));
}

/// Records how long a login took.
fn took(change: &AccountChange, began: &mut HashMap<String, u64>, logins: &mut Histogram<u32>) {
    match change.to.kind() {
        StateKind::LoggingIn => {
            began.insert(change.user.to_string(), change.at_ms);
        }
        StateKind::Online => {
            if let Some(began) = began.remove(change.user.as_str()) {
                logins.saturating_record(change.at_ms.saturating_sub(began).saturating_mul(1000).max(1));
            }
        }
        _ => {}
    }
}

fn count(accounts: usize) -> u64 {
    u64::try_from(accounts).unwrap_or(u64::MAX)
}
