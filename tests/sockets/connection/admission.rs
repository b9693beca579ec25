//! A permit before every attempt, over sockets.

use std::{
    future::pending,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use agora_chat::{
    Account, ConnectionState, DisconnectReason, OpenError,
    admission::{Admission, Attempt, AttemptKind, AttemptOutcome, Permit, Ticket},
    errors::ConnectStep,
    local_server::Cut,
};
use tokio::sync::Semaphore;

use crate::connection::support::{alice, bob, online, quick, server, start, within};

/// Gives as many permits as it holds, and notes what is asked and what becomes of it.
struct Places {
    places: Arc<Semaphore>,
    asked: Mutex<Vec<Attempt>>,
    ends: Arc<Mutex<Vec<AttemptOutcome>>>,
    /// Requests taken back.
    dropped: Arc<AtomicUsize>,
}

impl Places {
    fn of(places: usize) -> Arc<Self> {
        let places = Arc::new(Semaphore::new(places));
        Arc::new(Places { places, asked: Mutex::default(), ends: Arc::default(), dropped: Arc::default() })
    }

    fn ends(&self) -> Vec<AttemptOutcome> {
        self.ends.lock().unwrap().clone()
    }

    /// Waits until so many attempts have asked.
    async fn asked(&self, times: usize) -> Vec<Attempt> {
        within("the request", async {
            while self.asked.lock().unwrap().len() < times {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        self.asked.lock().unwrap().clone()
    }
}

impl Admission for Places {
    fn ask(&self, attempt: Attempt) -> Ticket {
        struct Waits(Arc<AtomicUsize>, bool);
        impl Drop for Waits {
            fn drop(&mut self) {
                self.0.fetch_add(usize::from(!self.1), Ordering::Relaxed);
            }
        }
        self.asked.lock().unwrap().push(attempt);
        let (places, ends) = (Arc::clone(&self.places), Arc::clone(&self.ends));
        let waits = Waits(Arc::clone(&self.dropped), false);
        Box::pin(async move {
            let mut waits = waits;
            places.acquire().await.unwrap().forget();
            waits.1 = true;
            Permit::new(move |end| ends.lock().unwrap().push(end))
        })
    }
}

fn paced(admission: &Arc<Places>) -> Account {
    Account::from(alice()).admission(Arc::clone(admission) as Arc<dyn Admission>)
}

#[actix::test]
async fn the_server_sees_nothing_of_a_login_nor_of_a_reconnect_that_is_not_admitted() {
    let server = server().await;
    let places = Places::of(0);
    let (connection, _heard) = start(quick(server.discovery_config().login_deadline(Duration::from_secs(1))));
    let opening = actix_rt::spawn({
        let (connection, account) = (connection.clone(), paced(&places));
        async move { connection.open(account).await }
    });
    let asked = places.asked(1).await;
    assert_eq!((asked[0].kind, asked[0].number), (AttemptKind::First, 1));
    // Longer than the deadline of the login.
    actix_rt::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(connection.state(), ConnectionState::LoggingIn { step: ConnectStep::Admission });
    assert_eq!(server.connects(), 0);
    places.places.add_permits(1);
    within("open", opening).await.unwrap().unwrap();
    assert_eq!(places.ends(), [AttemptOutcome::Online]);

    let connects = server.connects();
    server.drop_links("alice", Cut::Rst);
    let asked = places.asked(2).await;
    assert_eq!((asked[1].kind, asked[1].number), (AttemptKind::Reconnect, 1));
    assert!(asked[1].host.is_some());
    actix_rt::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.connects(), connects, "it waits");
    places.places.add_permits(1);
    let mut watch = connection.watch();
    within("the way back", async {
        while connection.state() != ConnectionState::Online {
            watch.next().await;
        }
    })
    .await;
    assert_eq!(places.ends().len(), 2);
    within("close", connection.close()).await;
}

#[actix::test]
async fn close_and_the_end_of_the_connection_take_the_request_back() {
    let server = server().await;
    for close in [true, false] {
        let places = Places::of(0);
        let (connection, _heard) = start(quick(server.config()));
        let opening = actix_rt::spawn({
            let (connection, account) = (connection.downgrade(), paced(&places));
            async move { connection.upgrade().unwrap().open(account).await }
        });
        places.asked(1).await;
        if close {
            within("close", connection.close()).await;
            let error = within("open", opening).await.unwrap().unwrap_err();
            assert!(matches!(error, OpenError::Ended { reason: DisconnectReason::Closed, .. }), "{error:?}");
        } else {
            opening.abort();
            drop(connection);
        }
        within("the request", async {
            while places.dropped.load(Ordering::Relaxed) == 0 {
                actix_rt::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        assert_eq!(places.ends(), []);
    }
    assert_eq!(server.connects(), 0);
}

#[actix::test]
async fn an_admission_that_panics_where_it_is_asked_or_waited_for_or_told_costs_its_attempt() {
    struct Touchy(AtomicUsize);
    impl Admission for Touchy {
        fn ask(&self, _: Attempt) -> Ticket {
            match self.0.fetch_add(1, Ordering::Relaxed) {
                0 => panic!("when it is asked, as the test asked"),
                1 => Box::pin(async { panic!("while it is waited for, as the test asked") }),
                _ => Box::pin(async { Permit::new(|_| panic!("when it is told, as the test asked")) }),
            }
        }
    }
    let server = server().await;
    let (connection, _heard) = start(quick(server.config()));
    let touchy = Arc::new(Touchy(AtomicUsize::new(0)));
    let account = Account::from(alice()).admission(Arc::clone(&touchy) as Arc<dyn Admission>);
    within("open", connection.open(account)).await.unwrap();
    assert_eq!(touchy.0.load(Ordering::Relaxed), 3);
    assert_eq!(connection.state(), ConnectionState::Online);
    within("close", connection.close()).await;
}

#[actix::test]
async fn a_permit_that_never_comes_holds_no_other_account_up() {
    struct Never;
    impl Admission for Never {
        fn ask(&self, _: Attempt) -> Ticket {
            Box::pin(pending())
        }
    }
    let server = server().await;
    let (connection, _heard) = start(quick(server.config()));
    let opening = actix_rt::spawn({
        let (connection, account) = (connection.clone(), Account::from(alice()).admission(Arc::new(Never)));
        async move { connection.open(account).await }
    });
    let (other, _heard) = online(server.config(), bob()).await;
    opening.abort();
    within("close", connection.close()).await;
    within("close", other.close()).await;
}
