//! Faults that a network or a server can play, over real sockets: what the client does, and within which bounds.

mod connect_proxy;
mod fault_proxy;
mod frames;
mod hosts;
mod links;
mod plaintext;
mod proxy;
mod refused;
mod sends;
mod steps;
mod tls;
use crate::support::tls_front;

use crate::connection::raw;
use crate::connection::support;
use crate::support::scripted;

use std::time::Duration;

use agora_chat::{ConfigBuilder, Credentials, LossCause, OpenError, local_server::LocalServer};
use support::{start, within};

/// Long enough for a loopback connection on a busy machine, short enough to wait for.
const SHORT: Duration = Duration::from_millis(150);

/// A token login of alice, which needs no REST call.
fn token(server: &LocalServer) -> Credentials {
    Credentials::token("alice", server.issue_token("alice", None).unwrap()).unwrap()
}

/// Why a login failed that must.
async fn refused_login(config: ConfigBuilder, credentials: Credentials) -> OpenError {
    let (connection, _heard) = start(config);
    within("open", connection.open(credentials)).await.unwrap_err()
}

/// Why a login by token failed to reach the server.
async fn unreachable(config: ConfigBuilder) -> LossCause {
    match refused_login(config, Credentials::token("alice", "t").unwrap()).await {
        OpenError::Unreachable { cause, .. } => cause,
        other => panic!("{other:?}"),
    }
}
