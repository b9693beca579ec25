//! HTTP as servers and what stands before them speak it, over raw sockets: what is an answer, whose, and whether whole.

mod answers;
mod compressed;
mod early;
mod files;
mod front;
mod kept;
mod redirects;
mod server;
mod system;
mod tls;

use crate::support::tls_front;

use agora_chat::{
    Config, ConfigBuilder, RestClient, UserId,
    account::{Password, Token, TokenGrant},
    errors::RestError,
};

/// The configuration for a REST address.
fn config(base: &str) -> ConfigBuilder {
    Config::builder("org#app").addresses(base, "ws://127.0.0.1:1/websocket")
}

fn client(base: &str) -> RestClient {
    RestClient::new(&config(base).build().unwrap()).unwrap()
}

fn user(id: &str) -> UserId {
    id.parse().unwrap()
}

fn token() -> Token {
    Token::new("t0ken").unwrap()
}

async fn login(rest: &RestClient, id: &str) -> Result<TokenGrant, RestError> {
    rest.password_token(&user(id), &Password::new("pw").unwrap()).await
}

/// A body that grants a token, which names its user.
fn grant(id: &str) -> String {
    format!(r#"{{"access_token":"token-of-{id}","expires_in":86400,"user":{{"username":"{id}"}}}}"#)
}
