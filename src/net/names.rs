//! Name look-ups by the system's resolver.
//!
//! A look-up blocks for as long as the system's resolver likes. So the process has at most one look-up of a name under
//! way, shared by all callers. Callers that give up leave nothing behind but that one.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, ToSocketAddrs},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::sync::oneshot;

use crate::util::{
    lock,
    threads::{Job, Threads},
};

/// Most names looked up at once. A look-up that hangs keeps its thread. A service with its proxies and storage hosts
/// has far fewer names.
const AT_ONCE: usize = 64;

static THREADS: Threads = Threads::new("agora-names", AT_ONCE, Duration::MAX);

/// Looks up the addresses of a host, in the resolver's order.
pub(super) async fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    static NAMES: Mutex<Option<&'static Names>> = Mutex::new(None);
    let names = *lock(&NAMES).get_or_insert_with(|| Names::new(&THREADS, system));
    names.addresses(host).await
}

fn system(host: &str) -> io::Result<Vec<IpAddr>> {
    #[cfg(test)]
    if host == tests::SILENT {
        std::thread::sleep(Duration::from_secs(3600));
    }
    let mut addresses: Vec<_> = (host, 0).to_socket_addrs()?.map(|address| address.ip()).collect();
    addresses.dedup();
    Ok(addresses)
}

type Answer = Result<Vec<IpAddr>, Arc<io::Error>>;

/// The look-ups under way.
struct Names {
    threads: &'static Threads,
    look_up: fn(&str) -> io::Result<Vec<IpAddr>>,
    under_way: Mutex<HashMap<String, LookUp>>,
}

/// One look-up under way.
struct LookUp {
    number: u64,
    waiting: Vec<oneshot::Sender<Answer>>,
}

impl Names {
    fn new(threads: &'static Threads, look_up: fn(&str) -> io::Result<Vec<IpAddr>>) -> &'static Self {
        Box::leak(Box::new(Names { threads, look_up, under_way: Mutex::default() }))
    }

    async fn addresses(&'static self, host: &str) -> io::Result<Vec<IpAddr>> {
        let host = host.to_ascii_lowercase();
        match self.join(host).await {
            Ok(Ok(addresses)) => Ok(addresses),
            // All callers that waited share the error.
            Ok(Err(error)) => Err(io::Error::new(error.kind(), error.to_string())),
            Err(_) => Err(io::Error::other("no thread could be started for the look-up")),
        }
    }

    /// Waits for the look-up under way, or begins one.
    fn join(&'static self, host: String) -> oneshot::Receiver<Answer> {
        let (sender, answer) = oneshot::channel();
        let mut under_way = self.lock();
        if let Some(look_up) = under_way.get_mut(&host) {
            look_up.waiting.retain(|waiting| !waiting.is_closed());
            look_up.waiting.push(sender);
            return answer;
        }
        let number = fastrand::u64(..);
        under_way.insert(host.clone(), LookUp { number, waiting: vec![sender] });
        drop(under_way);
        let ends = Ends { names: self, host: host.clone(), number };
        let wanted = {
            let host = host.clone();
            move || self.is_wanted(&host, number)
        };
        let work = move || {
            let answer = (self.look_up)(&ends.host).map_err(Arc::new);
            for waiting in ends.waiting() {
                // The receiver may be gone.
                let _ = waiting.send(answer.clone());
            }
        };
        self.threads.submit(Job { wanted: Box::new(wanted), work: Box::new(work) });
        answer
    }

    /// Returns whether somebody waits for a look-up that has not begun. A look-up without callers is removed, so that
    /// the next caller begins another.
    fn is_wanted(&self, host: &str, number: u64) -> bool {
        let mut under_way = self.lock();
        match under_way.get(host) {
            Some(look_up) if look_up.number == number => {
                let wanted = look_up.waiting.iter().any(|waiting| !waiting.is_closed());
                if !wanted {
                    under_way.remove(host);
                }
                wanted
            }
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, LookUp>> {
        lock(&self.under_way)
    }
}

/// Removes a look-up from the table when it is over, whatever its end.
struct Ends {
    names: &'static Names,
    host: String,
    number: u64,
}

impl Ends {
    fn waiting(&self) -> Vec<oneshot::Sender<Answer>> {
        let mut under_way = self.names.lock();
        match under_way.get(&self.host) {
            Some(look_up) if look_up.number == self.number => {
                under_way.remove(&self.host).map(|look_up| look_up.waiting).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        drop(self.waiting());
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        future::Future as _,
        io,
        net::{IpAddr, Ipv4Addr},
        sync::{
            Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Context, Waker},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::{Names, Threads, lock};

    /// A host whose look-up never ends.
    pub(in crate::net) const SILENT: &str = "silent.invalid";

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const LONG: Duration = Duration::from_secs(10);
    const SHORT: Duration = Duration::from_millis(20);

    fn threads(most: usize) -> &'static Threads {
        Box::leak(Box::new(Threads::new("test", most, Duration::MAX)))
    }

    #[tokio::test]
    #[allow(clippy::await_holding_lock, reason = "it holds up the threads below, never this one")]
    async fn all_who_wait_for_a_name_share_one_look_up_and_those_who_gave_up_leave_nothing_behind() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        static HELD: Mutex<()> = Mutex::new(());
        fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
            ASKED.fetch_add(1, Ordering::SeqCst);
            drop(lock(&HELD));
            match host {
                "a.example" => Ok(vec![HERE]),
                _ => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
            }
        }
        let names = Names::new(threads(4), look_up);
        let held = HELD.lock().unwrap();
        // Until one has begun.
        while ASKED.load(Ordering::SeqCst) == 0 {
            assert!(timeout(SHORT, names.addresses("a.example")).await.is_err());
        }
        for _ in 0..1000 {
            assert!(timeout(Duration::ZERO, names.addresses("A.example")).await.is_err());
        }
        let begin = |host| {
            let mut waiting = Box::pin(names.addresses(host));
            assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            waiting
        };
        let waiting: Vec<_> = (0..100).map(|_| begin("a.example")).collect();
        let unknown: Vec<_> = (0..3).map(|_| begin("b.example")).collect();
        assert!(names.threads.count() <= 3, "{} threads", names.threads.count());
        drop(held);
        for waiting in waiting {
            assert_eq!(waiting.await.unwrap(), [HERE]);
        }
        for unknown in unknown {
            let error = unknown.await.unwrap_err();
            assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::NotFound, "no such name"));
        }
        assert_eq!(ASKED.load(Ordering::SeqCst), 2, "one look-up for each name");
        assert!(names.lock().is_empty());
        assert_eq!(names.addresses("a.example").await.unwrap(), [HERE], "the next one asks anew");
        assert_eq!(ASKED.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    #[allow(clippy::await_holding_lock, reason = "it holds up the threads below, never this one")]
    async fn names_that_hang_hold_no_other_name_up_and_past_the_bound_nothing_piles_up() {
        const MOST: usize = 8;
        static HELD: Mutex<()> = Mutex::new(());
        fn look_up(host: &str) -> io::Result<Vec<IpAddr>> {
            if host.starts_with("hangs") {
                drop(lock(&HELD));
            }
            Ok(vec![HERE])
        }
        let names = Names::new(threads(MOST), look_up);
        let held = HELD.lock().unwrap();
        for n in 1..MOST {
            assert!(timeout(SHORT, names.addresses(&format!("hangs-{n}"))).await.is_err());
        }
        assert_eq!(timeout(LONG, names.addresses("fresh")).await.unwrap().unwrap(), [HERE]);
        for n in 0..100 {
            assert!(timeout(Duration::ZERO, names.addresses(&format!("hangs-more-{n}"))).await.is_err());
        }
        assert!(names.lock().len() <= 2 * MOST + 1, "{} names", names.lock().len());
        assert!(names.threads.count() <= MOST + 1, "{} threads", names.threads.count());
        drop(held);
        assert_eq!(timeout(LONG, names.addresses("hangs-1")).await.unwrap().unwrap(), [HERE]);
        assert_eq!(timeout(LONG, names.addresses("fresh")).await.unwrap().unwrap(), [HERE]);
    }
}
