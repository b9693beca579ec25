//! A server of its own for the admin interface.

use std::{net::SocketAddr, time::Duration};

use actix_web::{App, HttpServer, dev::ServerHandle};

use crate::fleet::admin::{Admin, AdminError};

/// A server of the admin interface; dropping this leaves it running.
#[derive(Clone, Debug)]
#[must_use = "it is what the server is stopped by"]
pub struct Served {
    address: SocketAddr,
    server: ServerHandle,
    admin: Admin,
}

impl Admin {
    /// Requests under way have so long when the server is stopped, in seconds.
    const SHUTDOWN: u64 = 2;

    /// How long a client may take to send the head of a request.
    const HEAD: Duration = Duration::from_secs(10);

    /// Serves the interface on an address, with a thread of its own, until it is stopped or the actix system ends. Port 0 takes
    /// a free one.
    ///
    /// Signals are left to the program. Start it inside an actix system.
    ///
    /// # Errors
    /// [`AdminError::TokenMissing`] for an address that other machines can reach, where there is no
    /// [token](Admin::token); [`AdminError::Bind`].
    pub fn serve(&self, address: SocketAddr) -> Result<Served, AdminError> {
        if self.0.token.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(AdminError::TokenMissing { address });
        }
        let failed = |error| AdminError::Bind { address, error };
        let admin = self.clone();
        let server = HttpServer::new(move || App::new().service(admin.routes()))
            .workers(1)
            .max_connections(256)
            .client_request_timeout(Self::HEAD)
            .shutdown_timeout(Self::SHUTDOWN)
            .disable_signals()
            .bind(address)
            .map_err(failed)?;
        let address = server.addrs().first().copied().unwrap_or(address);
        let server = server.run();
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Served { address, server: handle, admin: self.clone() })
    }
}

impl Served {
    /// Returns the address that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops the server: requests under way are answered, and the streams of `/events` end.
    pub async fn stop(&self) {
        self.admin.end_events();
        self.server.stop(true).await;
    }
}
