//! What is done once per process, before anything is measured.

use std::error::Error;

use agora_chat::{Config, Connection, Credentials};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

/// Has the crate read the root certificates and make its TLS configuration, as the first connection over TLS does:
/// one goes to a socket of our own, which hangs up after the first byte of the handshake.
pub(crate) async fn tls(config: &Config) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    let config = config.to_builder().addresses("http://127.0.0.1:1", format!("wss://127.0.0.1:{port}/"));
    let connection = Connection::start(config.build()?)?;
    let asking = connection.clone();
    let login = actix_rt::spawn(async move {
        let token = Credentials::token("warm", "up");
        if let Ok(token) = token {
            // It cannot succeed.
            let _ = asking.open(token).await;
        }
    });
    let (mut socket, _) = listener.accept().await?;
    let _first = socket.read(&mut [0]).await?;
    connection.close().await;
    login.await?;
    Ok(())
}
