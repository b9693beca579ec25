//! A session that outlives its tokens: whenever one is about to end, the application is asked for the next:
//! `cargo run --example token_provider`.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::{error::Error, sync::Arc, time::Duration};

use agora_chat::{
    Connection, Credentials,
    account::{TokenGrant, TokenReason, TokenRequest},
    errors::ProviderError,
    local_server::LocalServer,
};
use tokio::sync::mpsc;

#[actix::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Arc::new(LocalServer::start().await?);
    server.create_user("alice", "secret")?;

    let (tell, mut asked) = mpsc::unbounded_channel();
    let issuer = Arc::clone(&server);
    // A program of yours asks its own server here.
    let credentials = Credentials::provider("alice", move |request: TokenRequest| {
        println!("a token for {} is wanted: {:?}", request.user, request.reason);
        let token = issuer.issue_token(request.user.as_str(), Some(Duration::from_secs(3)));
        let _ = tell.send(request.reason);
        async move { Ok(TokenGrant::new(token.map_err(ProviderError::new)?)?) }
    })?;

    let connection = Connection::start(server.config().build()?)?;
    connection.open(credentials).await?;
    println!("logged in; the token lasts three seconds");
    while asked.recv().await.is_some_and(|reason| reason == TokenReason::Login) {}

    println!("still {}", connection.state());
    connection.close().await;
    Ok(())
}
