//! A whole connection whose server repeats every secret in answers to other calls and in other places than it was told it in.

use agora_chat::{
    Connection, Credentials, EventHandler, LogConfig, LogHandle, LogLevel, OpenError,
    errors::Kick,
    local_server::{Cut, FrameKind, LocalServer},
    logger::Terminal,
    rest::{HistoryQuery, Upload},
    wire::MSync,
};
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;

use crate::secrets::{
    NEW_TOKEN, PASSWORD, echo,
    evidence::{Captured, Evidence, hear},
    is_connected, is_disconnected, quick,
};

#[actix::test]
async fn what_was_told_in_one_place_is_hidden_in_all_others_whoever_repeats_it() {
    let server = LocalServer::start().await.unwrap();
    server.create_user("alice", PASSWORD).unwrap();
    let captured = Captured::default();
    let log = LogConfig::new().terminal(Terminal::Off).level(LogLevel::Trace).writer(captured.clone());
    let log = LogHandle::start(log).unwrap();
    let mut evidence = Evidence::of(&[PASSWORD, NEW_TOKEN]);
    let connection = Connection::start(quick(server.config().logger(log.slog())).build().unwrap()).unwrap();
    let (tell, mut heard) = unbounded_channel();
    let handler = EventHandler::new().on_event(move |event| {
        let _ = tell.send(event.kind().clone());
    });
    connection.add_event_handler("test", handler).unwrap();
    connection.open(Credentials::password("alice", PASSWORD).unwrap()).await.unwrap();
    hear(&mut evidence, &mut heard, is_connected).await;
    let provision = server.sent_by("alice").into_iter().find(|frame| frame.kind == FrameKind::Provision).unwrap();
    let granted = MSync::decode_frame(provision.bytes.clone(), 1 << 20).unwrap().auth.unwrap();
    let former = granted.strip_prefix("$t$").unwrap().to_owned();
    evidence.secrets.push(former.clone());
    server.adopt_token("alice", NEW_TOKEN, Some(Duration::from_secs(3600))).unwrap();
    connection.renew_token(NEW_TOKEN).await.unwrap();
    let file = connection.upload(Upload::bytes("cat.png", &b"a cat"[..]).to("bob")).await.unwrap();
    let share = file.secret.as_ref().unwrap().expose().to_owned();
    evidence.secrets.push(share.clone());

    for secret in [PASSWORD, &former, NEW_TOKEN, &share] {
        // Every call by REST, whichever secret it carries itself.
        server.fail_rest(echo("/expires", 401, "unauthorized", secret)).unwrap();
        evidence.shown("expiry", &connection.renew_token(NEW_TOKEN).await.unwrap_err());
        server.fail_rest(echo("/users", 400, "illegal_argument", secret)).unwrap();
        evidence.shown("registration", &connection.register_user("carol", "other-pass", None).await.unwrap_err());
        server.fail_rest(echo("/chatfiles", 413, "too_large", secret)).unwrap();
        evidence.shown("upload", &connection.upload(Upload::bytes("n", &b"x"[..])).await.unwrap_err());
        server.fail_rest(echo("/chatfiles", 404, secret, secret)).unwrap();
        evidence.shown("download", &connection.download(&file).await.unwrap_err());
        server.fail_rest(echo("roaming", 400, secret, secret)).unwrap();
        if let Err(error) = connection.history("bob", HistoryQuery::new()).await {
            evidence.shown("history", &error);
        }
        // A close, and a way back that is refused at first.
        let cut: String = secret.chars().take(100).collect();
        server.refuse_next_provisions(1, 7, Some(&format!("the app online count limit {secret}")));
        server.push_close("alice", 4001, &cut);
        hear(&mut evidence, &mut heard, is_connected).await;
        evidence.debug("its health", &connection.health().await.unwrap());
        evidence.text("its health", &serde_json::to_string(&connection.health().await.unwrap()).unwrap());
        server.drop_links("alice", Cut::Rst);
        hear(&mut evidence, &mut heard, is_connected).await;
        // A kick, and a login that is refused for each number.
        server.kick("alice", Kick::LoggedInElsewhere { ext: Some(secret.into()) });
        hear(&mut evidence, &mut heard, is_disconnected).await;
        for code in [1, 2, 4, 5, 6, 7, 11, 12, 13, 20, 99] {
            server.refuse_next_provisions(10, code, Some(secret));
            let refused = connection.open(Credentials::token("alice", NEW_TOKEN).unwrap()).await.unwrap_err();
            assert!(matches!(refused, OpenError::Refused { .. } | OpenError::Unreachable { .. }), "{refused:?}");
            evidence.shown("a refusal", &refused);
            evidence.debug("its health", &connection.health().await.unwrap());
            server.refuse_next_provisions(0, code, None);
        }
        connection.open(Credentials::token("alice", NEW_TOKEN).unwrap()).await.unwrap();
        hear(&mut evidence, &mut heard, is_connected).await;
    }
    connection.close().await;
    let log = captured.text(&log);
    for expected in ["REST call failed", "the link is lost, trying again", "disconnected", "<redacted>"] {
        assert!(log.contains(expected), "`{expected}` is missing in:\n{log}");
    }
    evidence.text("the log", &log);
}
