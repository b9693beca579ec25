//! A connection as the state of an actix-web app: every worker's handlers send through the same one:
//! `cargo run --example actix_state`. The larger `actix_web_app` adds errors, signals and the log.

#![allow(clippy::print_stdout, reason = "a program says what it shows")]

use std::{error::Error, net::Ipv4Addr};

use actix_web::{App, HttpServer, Responder, get, web};
use agora_chat::{Connection, Credentials, local_server::LocalServer};

#[get("/greet/{user}")]
async fn greet(chat: web::Data<Connection>, user: web::Path<String>) -> impl Responder {
    match chat.send_text(user.as_str(), "Hello!").await {
        Ok(sent) => format!("sent as {}", sent.server_id),
        Err(error) => format!("not sent: {error}"),
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = LocalServer::start().await?;
    server.create_user("web", "secret")?;
    server.create_user("bob", "secret")?;
    let connection = Connection::start(server.config().build()?)?;
    connection.open(Credentials::password("web", "secret")?).await?;

    let chat = web::Data::new(connection.clone());
    let http = HttpServer::new(move || App::new().app_data(chat.clone()).service(greet))
        .workers(2)
        .bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = http.addrs().first().copied().ok_or("no address")?;
    let http = http.run();
    let handle = http.handle();
    actix_rt::spawn(http);

    let client = awc::Client::default();
    let mut answer =
        client.get(format!("http://{address}/greet/bob")).send().await.map_err(|error| error.to_string())?;
    println!("{}", String::from_utf8_lossy(&answer.body().await?));

    // The connection first: handlers that wait for an answer get it.
    connection.close().await;
    handle.stop(true).await;
    Ok(())
}
