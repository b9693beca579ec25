//! `/events`.

use actix_rt::time::timeout;
use agora_chat::{errors::Kick, fleet::admin::Admin};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    net::TcpStream,
};

use crate::{LIMIT, Scene};

/// A stream of events.
struct Events(Lines<BufReader<TcpStream>>);

impl Events {
    async fn of(scene: &Scene) -> Self {
        let mut lines = BufReader::new(scene.client().open("GET", "/events").await).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        assert!(first.contains(" 200 "), "{first}");
        Events(lines)
    }

    /// The data of the next event of this name; `None` at the end of the stream.
    async fn next(&mut self, name: &str) -> Option<Value> {
        let wanted = format!("event: {name}");
        timeout(LIMIT, async {
            while let Some(line) = self.0.next_line().await.ok()? {
                if line == wanted {
                    let data = self.0.next_line().await.ok()??;
                    return Some(serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap());
                }
            }
            None
        })
        .await
        .unwrap_or_else(|_| panic!("no event {name}"))
    }
}

#[actix_web::test]
async fn changes_and_counts_come_as_they_happen_to_the_end_of_the_fleet() {
    let scene = Scene::of(&["bot-1"]).await;
    let mut events = Events::of(&scene).await;
    let fleet = events.next("fleet").await.unwrap();
    assert_eq!((&fleet["accounts"]["online"], fleet["at_ms"].is_u64()), (&Value::from(1), true));
    scene.server.kick("bot-1", Kick::LoggedInElsewhere { ext: None });
    let change = events.next("account").await.unwrap();
    assert_eq!(
        (&change["user"], &change["from"], &change["to"]["state"]),
        (&"bot-1".into(), &"online".into(), &"parked".into())
    );
    assert_eq!((&change["cause"]["kind"], &change["cause"]["code"]), (&"kicked_elsewhere".into(), &206.into()));
    let fleet = events.next("fleet").await.unwrap();
    assert_eq!(fleet["accounts"]["parked"], 1);
    scene.call("POST", "/accounts/bot-1/resume").await.is(200);
    while events.next("account").await.unwrap()["to"]["state"] != "online" {}
    scene.fleet.drain(LIMIT).await;
    assert!(events.next("drained").await.is_some());
}

#[actix_web::test]
async fn so_many_clients_may_watch_and_one_that_goes_makes_room() {
    let scene = Scene::of(&[]).await;
    let mut watching = Vec::new();
    for _ in 0..Admin::MAX_EVENT_CLIENTS {
        watching.push(Events::of(&scene).await);
    }
    let reply = scene.call("GET", "/events").await;
    assert!(reply.head.contains("retry-after: "), "{}", reply.head);
    reply.refused(503, "too_many_clients");
    watching.truncate(3);
    let room = async {
        loop {
            let mut lines = BufReader::new(scene.client().open("GET", "/events").await).lines();
            if lines.next_line().await.unwrap().unwrap().contains(" 200 ") {
                return;
            }
            // Something must be written before it is seen that a client has gone.
            scene.add(&[&format!("bot-{}", fastrand::u32(..))]).await;
            actix_rt::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    timeout(LIMIT, room).await.unwrap();
}

#[actix_web::test]
async fn a_server_that_is_stopped_does_not_wait_for_those_who_watch() {
    let scene = Scene::of(&[]).await;
    let mut events = Events::of(&scene).await;
    events.next("fleet").await.unwrap();
    let began = std::time::Instant::now();
    scene.served.stop().await;
    assert!(began.elapsed() < std::time::Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(events.next("fleet").await.is_none());
}
